// Streamlit would look for its server under each page's own path first; it is at the root.
window.__streamlit = { BACKEND_BASE_URL: `${location.origin}/` };
// A session that ended closes the page's connection with 1008: the page asks for itself again, and is sent to sign in.
window.WebSocket = class extends window.WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener("close", (event) => { if (event.code === 1008) location.reload(); });
  }
};
