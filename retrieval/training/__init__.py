"""How the `mini` checkpoint is made: pictures, messages, the training loop.

Nothing in here is imported by search or by the page.
"""
