"""Stopped clients."""
def measure(): return {"text":"","holds":True}
