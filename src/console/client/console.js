/*
 * Keeps a page up to date: the server sends the parts that changed, and only what differs in them is touched, so that
 * focus, selection and scrolling stay. Without this script the page is as it was when it was opened.
 */
import { Idiomorph } from '/assets/idiomorph.js';

const AGAIN_MS = 3000;

const connection = document.getElementById('connection');
let source = null;
let again;

countDown();
setInterval(countDown, 1000);
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
    say('The console does not answer. What you see is as it was; trying again.');
    if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
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
  countDown();
  document.body.dataset.shown = String(Date.now());
  if (data !== undefined) document.dispatchEvent(new CustomEvent('standdown:data', { detail: data }));
}

/** Writes how long it is to go beside every time that is waited for. */
function countDown() {
  for (const place of document.querySelectorAll('[data-until]')) {
    const left = Date.parse(place.dataset.until) - Date.now();
    place.textContent = left > 0 ? `(${describe(left)})` : '(any moment now)';
  }
}

function describe(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.ceil(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
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
