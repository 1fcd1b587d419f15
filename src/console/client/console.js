/*
 * Keeps a page up to date: the server sends the parts that changed, and only what differs in them is touched, so that
 * focus, selection and scrolling stay. Without this script the page is as it was when it was opened.
 */
import { describeDuration } from '/assets/duration.js';
import { Idiomorph } from '/assets/idiomorph.js';

const AGAIN_MS = 3000;

const connection = document.getElementById('connection');
let source = null;
let again;

updateTimes();
setInterval(updateTimes, 1000);
takeDrops();

if (document.body.dataset.live === 'yes') {
  // A browser has six connections to a host: a tab that nobody sees should not keep one.
  document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
  window.addEventListener('pagehide', close);
  if (!document.hidden) open();
}

function open() {
  close();
  source = new EventSource(location.href.replace(/#.*/, ''));
  source.addEventListener('change', (event) => {
    say('');
    show(JSON.parse(event.data));
  });
  source.addEventListener('trouble', (event) => say(JSON.parse(event.data)));
  // The session is over: the page itself says so, and leads to signing in.
  source.addEventListener('leave', () => location.reload());
  source.addEventListener('error', () => {
    const isRefused = source?.readyState === EventSource.CLOSED;
    const what = isRefused
      ? 'The console sends no changes for now; too many of its pages may be open.'
      : 'The console does not answer.';
    say(`${what} This page may be out of date; it reconnects by itself.`);
    if (isRefused) again = setTimeout(open, AGAIN_MS);
  });
}

function close() {
  clearTimeout(again);
  source?.close();
  source = null;
}

function say(words) {
  if (connection.textContent !== words) connection.textContent = words;
  connection.hidden = words === '';
}

function show({ regions = {}, data }) {
  for (const [id, text] of Object.entries(regions)) {
    const part = document.getElementById(id);
    if (part) Idiomorph.morph(part, text, { morphStyle: 'innerHTML', ignoreActiveValue: true });
  }
  updateTimes();
  document.body.dataset.shown = String(Date.now());
  if (data !== undefined) document.dispatchEvent(new CustomEvent('standdown:data', { detail: data }));
}

/** Counts down to what is to come, never past zero, and keeps the age of what has happened up to date. In the words of the server. */
function updateTimes() {
  for (const place of document.querySelectorAll('[data-until]')) {
    const leftMs = Date.parse(place.dataset.until) - Date.now();
    if (leftMs <= 0) setText(place, 'any moment now');
    else setText(place.querySelector('.left'), `(in ${describeDuration(leftMs)})`);
  }
  for (const place of document.querySelectorAll('[data-since]')) {
    const ageMs = Math.max(0, Date.now() - Date.parse(place.dataset.since));
    setText(place, `(${describeDuration(ageMs)} ago)`);
  }
}

/** Only where it differs: what is selected stays selected. */
function setText(place, text) {
  if (place && place.textContent !== text) place.textContent = text;
}

/** A file may be dropped anywhere on a form that takes one. */
function takeDrops() {
  for (const form of document.querySelectorAll('form[data-drop]')) {
    const input = form.querySelector('input[type="file"]');
    const mark = (on) => form.classList.toggle('dropping', on);
    form.addEventListener('dragover', (event) => {
      event.preventDefault();
      mark(true);
    });
    form.addEventListener('dragleave', () => mark(false));
    form.addEventListener('drop', (event) => {
      event.preventDefault();
      mark(false);
      if (event.dataTransfer.files.length > 0) input.files = event.dataTransfer.files;
      input.focus();
    });
  }
}
