// Streamlit would look for its server under each page's own path first; it is at the root.
window.__streamlit = { BACKEND_BASE_URL: `${location.origin}/` };
