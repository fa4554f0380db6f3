"""The fast way, fenced: bounds of connections, answers in one turn of the event loop, parked waits.

Nothing leaves it but answers: whatever it cannot answer goes the ordinary way through the routes,
with the same result (docs/adr/0020, 0025). It decides nothing: every right is checked by who is
asked.
"""
