"""A trained model's answers, how good they are, and what each model left behind."""
