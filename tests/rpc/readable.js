// What is wrong with the page, as a list: an expression that the test evaluates in it.
(() => {
  "use strict";
  const faults = [];
  const name = (element) => `${element.tagName} ${element.id || element.textContent.trim()}`;
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`the page is ${root.scrollWidth} wide`);

  // Text is inside of what holds it, and a figure on one line.
  const boxOf = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return range.getBoundingClientRect();
  };
  const sticksOut = (inner, outer) =>
    inner.left < outer.left - 0.5 || inner.right > outer.right + 0.5 ||
    inner.top < outer.top - 0.5 || inner.bottom > outer.bottom + 0.5;
  const texts = [...document.querySelectorAll("h1, h2, dt, dd, small, header span, header strong")];
  for (const element of texts) {
    const holder = element.closest("dl div, section") ?? document.body;
    if (sticksOut(boxOf(element), holder.getBoundingClientRect())) faults.push(`${name(element)} sticks out`);
  }
  for (const element of document.querySelectorAll("dd, dt, [data-figure], svg text")) {
    if (!element.textContent) faults.push(`${name(element.parentElement)} is empty`);
    const height = parseFloat(getComputedStyle(element).fontSize);
    if (boxOf(element).height > 1.9 * height) faults.push(`${name(element)} takes two lines`);
  }

  // No label of a chart is cut off or under another, and no line leaves the chart.
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const labels = [...svg.querySelectorAll("text")];
    for (const [i, label] of labels.entries()) {
      const box = label.getBoundingClientRect();
      if (sticksOut(box, frame)) faults.push(`label ${label.textContent} of ${svg.id} is cut off`);
      for (const other of labels.slice(0, i)) {
        const { left, right, top, bottom } = other.getBoundingClientRect();
        if (box.left < right && left < box.right && box.top < bottom && top < box.bottom) {
          faults.push(`labels ${label.textContent} and ${other.textContent} of ${svg.id} overlap`);
        }
      }
    }
    const paths = [...svg.querySelectorAll("path")];
    if (!paths.length) faults.push(`nothing is drawn in ${svg.id}`);
    const ground = Math.max(...[...svg.querySelectorAll("line")].map((line) => line.getBBox().y));
    for (const path of paths) {
      const { x, y, width, height } = path.getBBox();
      const isInside = x >= 0 && y >= 0 && x + width <= svg.clientWidth && y + height <= ground;
      if (!isInside) faults.push(`a line leaves ${svg.id}`);
      if (ground - y < 20) faults.push(`a line of ${svg.id} is ${ground - y} pixels high`);
    }
  }

  // WCAG: 4.5 to 1 for text, 3 to 1 for lines.
  const luminance = (colour) => {
    const [red, green, blue] = colour.match(/[\d.]+/g).slice(0, 3).map((channel) => {
      const share = channel / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const back = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? back(element.parentElement) : colour;
  };
  const check = (elements, property, least) => {
    for (const element of elements) {
      const found = contrast(getComputedStyle(element)[property], back(element));
      if (found < least) faults.push(`${name(element)} has a contrast of ${found.toFixed(1)}`);
    }
  };
  check([...texts, ...document.querySelectorAll("a")], "color", 4.5);
  check(document.querySelectorAll("svg text"), "fill", 4.5);
  check(document.querySelectorAll("svg path"), "stroke", 3);
  return faults;
})()
