// Light or dark: what the system says, until the reader chooses.

const KEY = "zoo-theme";
let chosen = null; // where there is no storage
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Makes a button switch between light and dark. */
export function setUp(button) {
  const apply = () => {
    const now = stored() ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now;
    button.textContent = now === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${now === "dark" ? "light" : "dark"} colours`);
  };
  button.addEventListener("click", () => {
    store(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  dark.addEventListener("change", apply);
  apply();
}

function stored() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return chosen; // some browsers allow no storage
  }
}

function store(value) {
  chosen = value;
  try {
    localStorage.setItem(KEY, value);
  } catch {
    // then it lasts until the page is left
  }
}
