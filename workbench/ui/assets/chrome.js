// Streamlit's own words are English only; on a French page this says them in French. Nothing else of the page is touched.
const words = {
  "Upload": "Choisir un fichier", "Browse files": "Choisir un fichier", "Drag and drop file here": "Déposez un fichier ici",
  "Running": "En cours", "Running...": "En cours…", "RUNNING...": "En cours…", "Stop": "Arrêter", "Connecting": "Connexion…", "CONNECTING": "Connexion…",
  "Press Enter to submit form": "Entrée pour envoyer", "Press Enter to apply": "Entrée pour valider",
  "Press Ctrl+Enter to submit form": "Ctrl+Entrée pour envoyer", "Press Ctrl+Enter to apply": "Ctrl+Entrée pour valider",
  "Press ⌘+Enter to submit form": "⌘+Entrée pour envoyer", "Press ⌘+Enter to apply": "⌘+Entrée pour valider",
  "No results": "Aucun résultat", "No options to select": "Rien à choisir", "Select all": "Tout choisir", "Clear all": "Tout effacer",
  "Choose an option": "Choisir", "Choose options": "Choisir", "Connection error": "Connexion perdue", "Close": "Fermer",
  "Copy to clipboard": "Copier", "Copied": "Copié", "Fullscreen": "Plein écran", "Close fullscreen": "Quitter le plein écran",
  "Expand sidebar": "Ouvrir le menu", "Collapse sidebar": "Fermer le menu", "Open sidebar": "Ouvrir le menu", "Close sidebar": "Fermer le menu",
  "Previous": "Précédent", "Next": "Suivant", "Previous page": "Page précédente", "Next page": "Page suivante",
  "Increment": "Augmenter", "Decrement": "Diminuer", "Clear value": "Effacer", "Remove file": "Retirer le fichier", "open": "ouvert",
};
const patterns = [
  [/^(\d+(?:\.\d+)?)MB per file(.*)$/, "$1 Mo par fichier$2"], [/^Limit (\d+)MB per file(.*)$/, "$1 Mo par fichier$2"],
  [/^Help for (.+)$/, "Aide : $1"], [/^Remove (.+)$/, "Retirer $1"], [/^Delete (.+)$/, "Retirer $1"], [/^(\d+)\/(\d+) characters?$/, "$1/$2 caractères"],
];
const attributes = ["aria-label", "title", "placeholder", "alt"];

function inFrench(text) {
  const plain = text.trim();
  if (plain in words) return text.replace(plain, words[plain]);
  for (const [pattern, french] of patterns) if (pattern.test(plain)) return plain.replace(pattern, french);
  return null;
}

function isOurs(element) { return element.closest(".wb-table, .wb-facts, .wb-card, [data-testid=stHtml], [data-testid=stMarkdownContainer] pre"); }

function mend(root) {
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const french = node.nodeValue.length < 60 && node.parentElement && !isOurs(node.parentElement) ? inFrench(node.nodeValue) : null;
    if (french !== null && french !== node.nodeValue) node.nodeValue = french;
  }
  for (const element of root.querySelectorAll?.("[aria-label],[title],[placeholder],[alt]") ?? [])
    for (const name of attributes) {
      const given = element.getAttribute(name);
      const french = given && !isOurs(element) ? inFrench(given) : null;
      if (french !== null && french !== given) element.setAttribute(name, french);
    }
}

if (document.documentElement.lang === "fr") {
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; mend(document.body); });
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true });
}

// A decision that has to be proved: its link is followed at once, and stays for who comes back by the browser's button.
let leaving = false;
new MutationObserver(() => {
  const way = leaving ? null : document.querySelector("a.wb-go");
  if (way?.pathname !== "/connexion/preuve" || way.origin !== location.origin) return;
  leaving = true;
  location.assign(way.href);
}).observe(document.documentElement, { childList: true, subtree: true });
