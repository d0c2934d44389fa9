"""Applications that are not ours, with Jobcast in them."""
