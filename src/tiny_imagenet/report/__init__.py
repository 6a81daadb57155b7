"""The report: tables, figures, the page and the model card."""
