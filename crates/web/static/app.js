// Enhancements only: every page works without this file, except the live bar and the chart.
(function () {
  "use strict";

  // Times arrive in UTC; people read their own zone.
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  var MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  function localTimes(root) {
    var now = new Date();
    root.querySelectorAll("time[datetime]").forEach(function (el) {
      var t = new Date(el.dateTime);
      if (isNaN(t)) return;
      var text = String(t.getHours()).padStart(2, "0") + ":" + String(t.getMinutes()).padStart(2, "0");
      if (t.toDateString() !== now.toDateString()) {
        var year = t.getFullYear() === now.getFullYear() ? "" : " " + t.getFullYear();
        text = t.getDate() + " " + MONTHS[t.getMonth()] + year + " " + text;
      }
      el.textContent = text;
      el.title = t.toString();
    });
    document.querySelectorAll("[data-zone]").forEach(function (el) {
      if (zone) el.textContent = zone.replace(/_/g, " ");
    });
  }

  // What a live part says is spoken when it changes, not every second.
  function say(text) {
    var said = document.getElementById("said");
    if (said && text && said.textContent !== text) said.textContent = text;
  }

  function css(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // The chart is drawn from the table beneath it.
  function chart(figure) {
    var plot = figure.querySelector(".plot");
    var rows = Array.from(figure.querySelectorAll("tr[data-t]"));
    if (!window.uPlot || !plot || !rows.length) return;
    var data = [
      rows.map(function (r) { return Number(r.dataset.t) / 1000; }),
      rows.map(function (r) { return Number(r.dataset.n); })
    ];
    var hourly = figure.dataset.step === "hour";
    var width = hourly ? 3600 : 86400;
    var name = new Intl.DateTimeFormat("en-GB", hourly
      ? { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" }
      : { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
    var readout = document.createElement("p");
    readout.className = "readout";
    readout.setAttribute("aria-hidden", "true");
    plot.after(readout);
    function read(u) {
      var i = u.cursor.idx;
      readout.textContent = i == null
        ? "" : name.format(data[0][i] * 1000) + ": " + data[1][i].toLocaleString("en");
    }
    var drawn;
    function draw() {
      if (drawn) drawn.destroy();
      var axis = { stroke: css("--soft"), font: "12px " + css("--sans"), ticks: { show: false } };
      drawn = new window.uPlot({
        width: plot.clientWidth,
        height: 240,
        padding: [12, 8, 0, 0],
        tzDate: function (ts) { return window.uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"); },
        scales: {
          x: { time: true, range: function (u, min, max) { return [min - width * 0.6, max + width * 0.6]; } },
          y: { range: function (u, min, max) { return [0, Math.max(max * 1.08, 4)]; } }
        },
        axes: [
          Object.assign({ grid: { show: false }, space: 64,
            values: function (u, ts) {
              var last = "";
              return ts.map(function (t) {
                var d = new Date(t * 1000);
                var day = d.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
                var hour = d.getUTCHours();
                var text = day === last ? (hourly ? String(hour).padStart(2, "0") + ":00" : "") : day;
                last = day;
                return text;
              });
            } }, axis),
          Object.assign({ size: 52, grid: { stroke: css("--line"), width: 1 }, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6],
            values: function (u, ns) { return ns.map(function (n) { return n.toLocaleString("en"); }); } }, axis)
        ],
        series: [
          {},
          { stroke: css("--gold-bar"), fill: css("--gold"), width: 1.5, points: { show: false },
            paths: window.uPlot.paths.bars({ size: [0.72, 64] }) }
        ],
        cursor: { y: false, drag: { x: false, y: false } },
        hooks: { setCursor: [read] },
        legend: { show: false }
      }, data, plot);
    }
    draw();
    var was = plot.clientWidth;
    new ResizeObserver(function () {
      if (plot.clientWidth && plot.clientWidth !== was) {
        was = plot.clientWidth;
        drawn.setSize({ width: was, height: 240 });
      }
    }).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  // Upload with progress; the answer is the page the form would have led to.
  function upload(form) {
    var input = form.querySelector("input[type=file]");
    var box = form.querySelector(".drop");
    var button = form.querySelector("button[type=submit]");
    var sending = form.querySelector(".sending");
    var problem = form.querySelector("[data-upload-problem]");
    if (!input || !box || !sending) return;
    ["dragenter", "dragover"].forEach(function (type) {
      box.addEventListener(type, function (e) { e.preventDefault(); box.classList.add("over"); });
    });
    ["dragleave", "drop"].forEach(function (type) {
      box.addEventListener(type, function () { box.classList.remove("over"); });
    });
    box.addEventListener("drop", function (e) {
      e.preventDefault();
      if (e.dataTransfer.files.length) input.files = e.dataTransfer.files;
    });
    form.addEventListener("submit", function (e) {
      e.preventDefault();
      var xhr = new XMLHttpRequest();
      var bar = sending.querySelector("progress");
      var output = sending.querySelector("output");
      function over(message) {
        button.disabled = false;
        sending.hidden = true;
        problem.hidden = !message;
        problem.textContent = message || "";
      }
      xhr.upload.onprogress = function (e) {
        if (!e.lengthComputable) return;
        var percent = Math.floor(e.loaded / e.total * 100);
        bar.value = percent;
        output.textContent = percent + "%";
        if (percent % 25 === 0) say("Upload: " + percent + " percent");
      };
      xhr.onload = function () {
        if (xhr.status >= 200 && xhr.status < 300) {
          location.assign(xhr.responseURL);
          return;
        }
        var page = new DOMParser().parseFromString(xhr.responseText, "text/html");
        var why = page.querySelector("#file-problem, .alert, .problem:not([hidden]), .broken .lede");
        over(why ? why.textContent : "The server answered " + xhr.status + ". Nothing was stored.");
      };
      xhr.onerror = function () { over("The connection broke. Nothing was stored; try again."); };
      xhr.open("POST", form.action);
      button.disabled = true;
      problem.hidden = true;
      sending.hidden = false;
      bar.value = 0;
      xhr.send(new FormData(form));
    });
  }

  // Clicking a variable puts it where the cursor last was.
  function variables(form) {
    var last = form.querySelector("textarea");
    form.querySelectorAll("#subject, textarea").forEach(function (el) {
      el.addEventListener("focus", function () { last = el; });
    });
    form.addEventListener("click", function (e) {
      var token = e.target.closest("[data-insert]");
      if (!token || !last) return;
      last.setRangeText(token.dataset.insert, last.selectionStart, last.selectionEnd, "end");
      last.focus();
    });
  }

  document.addEventListener("click", function (e) {
    var button = e.target.closest("[data-copy]");
    if (!button) return;
    navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent).then(function () {
      button.textContent = "Copied";
      say("Copied");
    });
  });
  document.addEventListener("submit", function (e) {
    var question = e.target.dataset.confirm;
    if (question && !confirm(question)) e.preventDefault();
  });
  document.body.addEventListener("htmx:afterSettle", function (e) {
    var el = document.getElementById(e.target.id) || e.target;
    localTimes(el);
    if (el.dataset.say) say(el.dataset.say);
  });

  if (navigator.clipboard) {
    document.querySelectorAll("[data-copy]").forEach(function (el) { el.hidden = false; });
  }
  localTimes(document);
  document.querySelectorAll("[data-chart]").forEach(chart);
  document.querySelectorAll("form[data-upload]").forEach(upload);
  document.querySelectorAll("form.page-form").forEach(variables);
})();
