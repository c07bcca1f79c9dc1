// Makes elements. Whatever comes from outside becomes text, never markup.

import { shown } from './format.js'

/** An element with attributes, listeners (`onclick`), and children: elements and text. */
export function h (name, attributes = {}, ...children) {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children.flat().filter(it => it !== undefined && it !== null && it !== false))
  return element
}

export const $ = id => document.getElementById(id)

/** Sets the text, if it is another. */
export function say (element, text) {
  const wanted = String(text)
  if (element.textContent !== wanted) element.textContent = wanted
}

/** A name from outside, kept from having any effect on what is around it; all of it is in the tooltip. */
export function name (text, classes = '') {
  const all = shown(text)
  return h('bdi', { class: `name mono ${classes}`, title: all, dir: 'ltr' }, all)
}

/** A word in a small box. */
export function chip (text, classes = '') {
  return h('span', { class: `chip ${classes}` }, shown(text))
}

/** Names and what they are. What is nothing is left out. */
export function facts (pairs, classes = '') {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== null && value !== false)
  return h('dl', { class: `facts ${classes}` }, rows.map(([term, value]) => [h('dt', {}, term), h('dd', {}, value)]).flat())
}

/** A table with a caption for those who do not see the heading above it. */
export function table (element, caption, columns) {
  const body = h('tbody')
  const heads = columns.map(({ title, classes, label }) => h('th', { scope: 'col', class: classes, 'aria-label': label }, title))
  element.replaceChildren(h('caption', { class: 'hidden' }, caption), h('thead', {}, h('tr', {}, heads)), body)
  return body
}

/** One row that says why there are no others. */
export function empty (columns, text) {
  return h('tr', { class: 'empty' }, h('td', { colspan: columns }, text))
}

const KEPT = new WeakMap()

/**
 * Makes the children of `parent` those of `items`, in their order. What was there for the same key stays the same element,
 * with the focus it has. `make(item)` gives `{node, update(item)}`, or `nodes` where an item is several.
 */
export function keyed (parent, items, keyOf, make) {
  const before = KEPT.get(parent) ?? new Map()
  const after = new Map()
  for (const item of items) {
    const key = keyOf(item)
    if (after.has(key)) continue
    const made = before.get(key) ?? make(item)
    made.update?.(item)
    after.set(key, made)
  }
  KEPT.set(parent, after)
  const wanted = new Set([...after.values()].flatMap(it => it.nodes ?? [it.node]))
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove()
  let place = parent.firstChild
  for (const node of wanted) {
    if (node === place) place = place.nextSibling
    else parent.insertBefore(node, place)
  }
}

/** Tells those who listen to the page rather than see it; sparingly. */
export function announce (text) {
  say($('announce'), text)
}

/** A problem in words. */
export function problem (error) {
  return h('div', { class: 'problem', role: 'alert' },
    h('strong', {}, error.title ?? 'That went wrong'),
    h('p', {}, shown(error.message)),
    error.mistakes?.length > 0 && mistakes(error.mistakes))
}

/** What is wrong with the files, each with its place. */
export function mistakes (list) {
  return h('ol', { class: 'mistakes mono' }, list.map(it => h('li', {}, it.split('\n').map(shown).join('\n'))))
}
