// Texts whose contrast with the nearest ground they stand on is below AA.
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (c) => c.slice(0, 3).map((x) => x / 255)
    .map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const c = rgb(getComputedStyle(node).backgroundColor);
      if (c[3] === 255) return c;
    }
    return [255, 255, 255, 255];
  };
  return [...document.querySelectorAll("body *:not(script):not(option)")].filter((node) =>
    node.checkVisibility() && !node.disabled && !node.closest("[disabled], svg title")
    && [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()),
  ).map((node) => {
    const style = getComputedStyle(node);
    const colour = node.namespaceURI.endsWith("svg") ? style.fill : style.color;
    const [a, b] = [light(rgb(colour)), light(ground(node))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), `${node.tagName}.${node.className}: ${node.textContent}`];
  }).filter(([ratio]) => ratio < 4.5).map(([ratio, what]) => `${ratio.toFixed(2)} ${what}`);
}
