// Reads Markdown as GitHub does, with packages that share no code with linkcheck. Gets a JSON
// array of documents, and answers with the anchors and the links of each.

import { readFileSync } from "node:fs";
import GithubSlugger from "github-slugger";
import { micromark } from "micromark";
import { frontmatter, frontmatterHtml } from "micromark-extension-frontmatter";
import { gfm, gfmHtml } from "micromark-extension-gfm";
import { parseFragment } from "parse5";
import { parseSrcset } from "srcset";

const ADDRESSES = {
  a: ["href"],
  area: ["href"],
  link: ["href"],
  image: ["href"],
  img: ["src", "srcset"],
  script: ["src"],
  iframe: ["src"],
  audio: ["src"],
  video: ["src", "poster"],
  source: ["src", "srcset"],
  track: ["src"],
  embed: ["src"],
  input: ["src"],
  object: ["data"],
};

function read(document) {
  const html = micromark(document, {
    allowDangerousHtml: true,
    allowDangerousProtocol: true,
    extensions: [gfm(), frontmatter()],
    htmlExtensions: [gfmHtml({ clobberPrefix: "" }), frontmatterHtml()],
  });
  const slugger = new GithubSlugger();
  const anchors = new Set();
  const links = new Set();
  visit(parseFragment(html), (element) => {
    const attributes = new Map();
    for (const { prefix, name, value } of element.attrs) {
      // `xlink:href` has the local name `href`.
      if (!attributes.has(name)) attributes.set(name, { prefix, value });
    }
    const value = (name) => attributes.get(name)?.value;
    if (value("id")) anchors.add(value("id"));
    if (element.tagName === "a" && value("name")) anchors.add(value("name"));
    if (/^h[1-6]$/.test(element.tagName) && value("id") !== "footnote-label") {
      anchors.add(slugger.slug(text(element)));
    }
    // Nobody wrote the links from and to a footnote.
    if (attributes.has("data-footnote-ref") || attributes.has("data-footnote-backref")) return;
    for (const name of ADDRESSES[element.tagName] ?? []) {
      if (!value(name)) continue;
      if (name !== "srcset") links.add(value(name));
      else for (const { url } of parseSrcset(value(name))) links.add(url);
    }
  });
  // A heading of the renderer, above the footnotes.
  anchors.delete("footnote-label");
  return { anchors: [...anchors], links: [...links] };
}

function visit(node, see) {
  if (node.attrs) see(node);
  for (const child of node.childNodes ?? []) visit(child, see);
  if (node.content) visit(node.content, see);
}

function text(node) {
  if (node.nodeName === "#text") return node.value;
  return (node.childNodes ?? []).map(text).join("");
}

const documents = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(documents.map(read)));
