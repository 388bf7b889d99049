// The only way this page writes: text as text, attributes by name, nothing that did not change. What clients call themselves is hostile.
import { planKeyed } from './keyed.js';

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | undefined>} [attributes] false and undefined: without it
 * @param {...(Node | string)} children strings are text
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

/** @param {Element} element @param {string} name @param {string | number | boolean | undefined} value */
export function setAttribute(element, name, value) {
  if (value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {string} id
 * @returns {any} the element, of whatever kind the page has under this id
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * @param {string} label
 * @param {() => void} onClick
 * @param {Record<string, string | boolean>} [attributes]
 */
export function button(label, onClick, attributes = {}) {
  const made = make('button', { type: 'button', ...attributes }, label);
  made.addEventListener('click', onClick);
  return made;
}

/**
 * Keeps the children of an element equal to a list. An element lives as long as its key, and is moved only where it must be: focus, open
 * details and selections stay.
 * @template R
 * @param {Element} parent
 * @param {{ keyOf: (row: R) => string, make: (row: R) => Element, update: (element: any, row: R) => void }} parts
 */
export function keyedList(parent, parts) {
  /** @type {Map<string, Element>} */
  const elements = new Map();
  /** @type {string[]} */
  let order = [];
  return (/** @type {readonly R[]} */ rows) => {
    const byKey = new Map(rows.map((row) => [parts.keyOf(row), row]));
    const wanted = [...byKey.keys()];
    const plan = planKeyed(order, wanted);
    for (const key of plan.removed) {
      const element = elements.get(key);
      if (element) keepFocus(element);
      element?.remove();
      elements.delete(key);
    }
    for (const { key, before } of plan.placed) {
      const element = elements.get(key) ?? parts.make(/** @type {R} */ (byKey.get(key)));
      elements.set(key, element);
      parent.insertBefore(element, (before !== undefined && elements.get(before)) || null);
    }
    for (const [key, row] of byKey) parts.update(elements.get(key), row);
    order = wanted;
  };
}

/** Who stood in something that goes stands at its heading then, not at the top of the page. @param {Element} leaving */
function keepFocus(leaving) {
  if (!leaving.contains(document.activeElement)) return;
  const heading = leaving.closest('section')?.querySelector('h2');
  if (heading instanceof HTMLElement) heading.focus({ preventScroll: true });
}
