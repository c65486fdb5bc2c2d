"""The pages of the Streamlit app: one module per page, plus what they share.

The folder is not called pages/: Streamlit would serve the scripts of such a folder by
themselves, without app.py.
"""
