"""The pages: thin, a page a file, a function a panel.

Not called pages/: Streamlit would run a file of that folder by itself, without app.py,
for whoever comes straight to its address.
"""
