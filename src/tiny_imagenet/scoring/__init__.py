"""A model's predictions for many images, and the metrics that training and evaluation share."""
