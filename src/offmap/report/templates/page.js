(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const boxes = [...document.querySelectorAll(".chart")];
  const font = getComputedStyle(document.body).fontFamily;
  const ink = "#6b7078"; // of text and rules; the style sheet replaces it by that of light or dark
  const config = {
    background: null, font, aria: false, view: { stroke: null },
    axis: {
      labelColor: ink, titleColor: ink, tickColor: ink, domainColor: ink, gridColor: ink,
      gridOpacity: 0.18, domainOpacity: 0.4, tickOpacity: 0.4, labelFontSize: 11, titleFontSize: 11,
      titleFontWeight: 400, titlePadding: 8, labelPadding: 4, tickSize: 4, tickCount: 5, labelOverlap: "greedy",
    },
    legend: { labelColor: ink, titleColor: ink, labelFontSize: 11, symbolSize: 60, offset: 6, columnPadding: 14 },
  };

  async function draw(box) {
    if (box.dataset.state) return;
    box.dataset.state = "drawing";
    const { spec, table } = charts[Number(box.dataset.chart)];
    const names = Object.keys(table);
    const values = table[names[0]].map((_, i) => Object.fromEntries(names.map((n) => [n, table[n][i]])));
    try {
      await vegaEmbed(box, { ...spec, data: { name: "table", values } }, {
        mode: "vega-lite", renderer: "svg", actions: false, config, tooltip: { theme: "custom" },
      });
      // The box says what the chart is; Vega's own roles inside it have no names.
      box.querySelector("svg").setAttribute("aria-hidden", "true");
      box.dataset.state = "drawn";
    } catch (error) {
      box.dataset.state = "failed";
      box.textContent = `This chart could not be drawn: ${error.message}`;
      console.error(error);
    }
  }

  // A chart needs a width, so it is drawn when it comes near the window in an open reading.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
    }
  }, { rootMargin: "600px" });
  boxes.forEach((box) => seen.observe(box));

  const readings = [...document.querySelectorAll("details")];
  const toggle = document.getElementById("toggle");
  toggle.addEventListener("click", () => {
    const open = toggle.getAttribute("aria-pressed") !== "true";
    readings.forEach((reading) => { reading.open = open; });
    toggle.setAttribute("aria-pressed", String(open));
    toggle.textContent = open ? "Close all" : "Open all";
  });

  function openTarget() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let box = target; box; box = box.parentElement) { if (box.tagName === "DETAILS") box.open = true; }
    target.scrollIntoView();
  }
  addEventListener("hashchange", openTarget);
  openTarget();

  addEventListener("beforeprint", () => {
    readings.forEach((reading) => { reading.open = true; });
    boxes.forEach(draw);
  });
})();
