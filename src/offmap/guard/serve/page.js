"use strict";

const by = (id) => document.getElementById(id);
const WORDS = {
  accepted: "Accepted", contract: "Refused: breaks the contract", off_map: "Refused: off the map",
  uncertain: "Refused: too uncertain", disputed: "Refused: its neighbors disagree",
  drift: "Refused: the traffic has drifted",
};
const LARGEST = 4096; // pixels on a side of what is averaged exactly
let guard = null;
let ready = null; // settled when the guard has said what it takes
let token = "";
let picture = null; // the image as it was given, for when an option changes
let asked = 0; // only the newest answer is shown

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(path, { ...options, headers });
  by("door").hidden = response.status !== 401;
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}

async function open() {
  guard = await ask("/guard");
  const { domain, promise } = guard;
  const percent = (share) => `${Number((100 * share).toPrecision(2))} %`;
  document.title = `${guard.name} · offmap guard`;
  by("model").textContent = guard.name;
  by("shape").textContent = domain.shape.join(" × ");
  by("size").textContent = frame() ? `${frame().width} × ${frame().height} pixels` : "";
  by("images").hidden = !frame();
  if (!frame()) by("numbers").open = true;
  const facts = {
    Guard: `${guard.name}, version ${guard.model_version}`,
    Score: guard.scores.join(" + "),
    "Refuses of familiar inputs":
      `${percent(promise.value)} (${percent(promise.low)} to ${percent(promise.high)})`,
    "Known examples": (guard.counts.train || 0).toLocaleString("en"),
  };
  by("facts").replaceChildren(...Object.entries(facts).map(([term, value]) => {
    const group = document.createElement("div");
    group.append(element("dt", term), element("dd", value));
    return group;
  }));
}

function frame() {
  const { kind, shape } = guard.domain;
  if (kind !== "image") return null;
  const [channels, height, width] = shape.length === 3 ? shape : [1, ...shape];
  return [1, 3, 4].includes(channels) ? { channels, height, width } : null;
}

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// ------------------------------------------------------------------------------------- images

async function take(file) {
  await ready;
  if (!guard || !frame()) return undefined;
  try {
    picture = await createImageBitmap(file);
    const side = Math.max(picture.width, picture.height);
    if (side > LARGEST) {
      const smaller = { resizeQuality: "high", resizeWidth: Math.ceil((picture.width * LARGEST) / side) };
      picture = await createImageBitmap(picture, smaller);
    }
  } catch {
    return complain("This file is no image that the browser can read.");
  }
  return askImage();
}

async function askImage() {
  if (!picture) return;
  const { width, height } = frame();
  const canvas = by("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, width, height);
  const how = document.querySelector("input[name=fit]:checked").value === "cover" ? Math.max : Math.min;
  const scale = how(width / picture.width, height / picture.height);
  const size = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const small = resized(picture, ...size);
  context.drawImage(small, Math.round((width - size[0]) / 2), Math.round((height - size[1]) / 2));
  if (by("invert").checked) invert(context, width, height);
  by("seen").hidden = false;
  const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
  await show("/answer?counted=false", { method: "POST", body: blob, headers: { "Content-Type": "image/png" } });
}

// Each new pixel is the mean of the area that it covers. (Browsers look at a few points of it.)
function resized(image, width, height) {
  const made = document.createElement("canvas");
  [made.width, made.height] = [width, height];
  const context = made.getContext("2d");
  if (width > image.width || height > image.height) {
    context.drawImage(image, 0, 0, width, height);
    return made;
  }
  const whole = document.createElement("canvas");
  [whole.width, whole.height] = [image.width, image.height];
  const from = whole.getContext("2d", { willReadFrequently: true });
  from.fillStyle = "#000"; // behind what is clear
  from.fillRect(0, 0, whole.width, whole.height);
  from.drawImage(image, 0, 0);
  const shades = Float32Array.from(from.getImageData(0, 0, whole.width, whole.height).data);
  const rows = means(shades, image.height, image.width, width, 1, image.width);
  const all = means(rows, width, image.height, height, width, 1);
  context.putImageData(new ImageData(Uint8ClampedArray.from(all, Math.round), width, height), 0, 0);
  return made;
}

// Means along one axis: `lines` lines of `before` pixels become lines of `after`. Neighbors on a
// line are `step` pixels apart, neighboring lines `next`.
function means(shades, lines, before, after, step, next) {
  const out = new Float32Array(4 * lines * after);
  const ahead = step === 1 ? after : 1; // where lines lie in the result
  for (let place = 0; place < after; place += 1) {
    const [low, high] = [(place * before) / after, ((place + 1) * before) / after];
    for (let at = Math.floor(low); at < high; at += 1) {
      const share = (Math.min(at + 1, high) - Math.max(at, low)) / (high - low);
      for (let line = 0; line < lines; line += 1) {
        const [source, target] = [4 * (line * next + at * step), 4 * (line * ahead + place * step)];
        for (let channel = 0; channel < 4; channel += 1) {
          out[target + channel] += share * shades[source + channel];
        }
      }
    }
  }
  return out;
}

function invert(context, width, height) {
  const shades = context.getImageData(0, 0, width, height);
  for (let k = 0; k < shades.data.length; k += 1) {
    if (k % 4 !== 3) shades.data[k] = 255 - shades.data[k];
  }
  context.putImageData(shades, 0, 0);
}

// ------------------------------------------------------------------------------------ numbers

async function askNumbers(text) {
  await ready;
  if (!guard) return undefined;
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    return complain("This is not JSON: an array of numbers was expected.");
  }
  if (!Array.isArray(given) || !given.length) return complain("A JSON array of numbers was expected.");
  // One input is nested as the network takes it, or flat; several are a list of such.
  const deep = depth(given);
  const usual = guard.domain.shape.length;
  const inputs = deep === usual + 1 || (deep === 2 && usual !== 2) ? given : [given];
  return show("/answer?counted=false", {
    method: "POST", body: JSON.stringify({ inputs }), headers: { "Content-Type": "application/json" },
  });
}

const depth = (value) => (Array.isArray(value) ? 1 + depth(value[0]) : 0);

// ------------------------------------------------------------------------------------- verdict

async function show(path, options) {
  const mine = asked += 1;
  by("answers").setAttribute("aria-busy", "true");
  try {
    const said = await ask(path, options);
    if (mine !== asked) return;
    by("alarm").hidden = !said.alarm;
    by("alarm").textContent = "The stream alarm is on: the traffic as a whole has left the map.";
    by("answers").replaceChildren(...said.answers.map(verdict));
  } catch (error) {
    if (mine === asked) complain(error.message);
  } finally {
    by("answers").setAttribute("aria-busy", "false");
  }
}

function verdict(answer) {
  const made = by("verdict").content.cloneNode(true);
  const part = (name) => made.querySelector(name);
  part("article").classList.add(answer.accepted ? "accepted" : "refused");
  part(".badge").textContent = `${answer.accepted ? "✓" : "✕"} ${WORDS[answer.reason]}`;
  if (answer.prediction === null) part(".said").remove();
  else part(".said").textContent = answer.label ?? [answer.prediction].flat().map(short).join(", ");
  part(".detail").textContent = sentence(answer.detail);
  if (answer.p_value === null) part(".scale").remove();
  else scale(part(".scale"), answer.p_value);
  if (!answer.neighbors.length) {
    part("h3").remove();
    part(".near").remove();
  } else part(".near").append(...answer.neighbors.map(neighbor));
  return made;
}

const short = (number) => (number === null ? "not finite" : String(Number(number.toPrecision(4))));
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

function neighbor(near) {
  const item = element("li");
  if (near.picture) {
    const image = element("img");
    image.src = near.picture;
    image.alt = `Training example ${near.row}`;
    item.append(image);
  }
  if (near.label !== null) item.append(element("b", near.label));
  item.append(`row ${near.row}`, element("br"), `distance ${near.distance === null ? "?" : Number(near.distance.toPrecision(3))}`);
  return item;
}

// A logarithmic axis from 0.0001 to 1: what is refused lies on the left.
function scale(figure, p) {
  const svg = figure.querySelector("svg");
  const place = (value) => 8 + 384 * (1 + Math.max(-4, Math.log10(Math.max(value, 1e-4))) / 4);
  const draw = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    svg.append(made);
  };
  draw("line", { x1: 8, x2: 392, y1: 12, y2: 12, class: "all" });
  draw("line", { x1: 8, x2: place(guard.alpha), y1: 12, y2: 12, class: "off" });
  draw("circle", { cx: place(p), cy: 12, r: 7 });
  draw("text", { x: 8, y: 32 }, "strange");
  draw("text", { x: place(guard.alpha), y: 32, "text-anchor": "middle" }, String(guard.alpha));
  draw("text", { x: 392, y: 32, "text-anchor": "end" }, "familiar");
  svg.setAttribute("aria-label", `p-value ${short(p)}; up to ${guard.alpha} is refused`);
  figure.querySelector("figcaption").textContent =
    `p-value ${short(p)}: the share of familiar inputs that look at least as strange. Up to ${guard.alpha} is refused.`;
}

function complain(text) {
  const problem = element("p", text, "problem");
  problem.setAttribute("role", "alert");
  by("answers").replaceChildren(problem);
}

// -------------------------------------------------------------------------------------- events

by("door").addEventListener("submit", (event) => {
  event.preventDefault();
  token = by("token").value.trim();
  ready = open().catch((error) => complain(error.message));
});
by("paste").addEventListener("submit", (event) => {
  event.preventDefault();
  askNumbers(by("json").value);
});
by("file").addEventListener("change", (event) => {
  if (event.target.files.length) take(event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again
});
document.querySelectorAll(".options input").forEach((box) => box.addEventListener("change", askImage));
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    by("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    by("drop").classList.remove("over");
  });
}
const given = (files) => {
  if (files.length) take(files[0]);
};
document.addEventListener("drop", (event) => given(event.dataTransfer.files));
document.addEventListener("paste", (event) => given(event.clipboardData.files));
ready = open().catch((error) => {
  if (by("door").hidden) complain(error.message);
});
