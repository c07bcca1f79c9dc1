// What is known of a tag, an entry, a plan: the parts of the "why" panel.

import { ago, bytes, count, cut, date, isImplicit, NONE, shown, span } from './format.js'
import { chip, empty, facts, h, name, table } from './dom.js'

const STATES = { fresh: 'good', stale: 'warn', expired: 'muted', invalidated: 'bad' }

/** An outcome word or the state of an entry. */
export function state (word) {
  return chip(word, STATES[word] ?? `o-${/^[a-z-]+$/.test(word) ? word : 'other'}`)
}

/** When and by whom something was incremented. */
export function cause ({ at, by, source }, now) {
  return h('span', {}, h('span', { title: date(at) }, ago(at, now)), by ? ' by ' : '', by ? name(by, 'inline') : '', source ? [' ', chip(source, `src-${source === 'other-sidecar' || source === 'admin' ? source : 'other'}`)] : '')
}

/** The states of tags as a table; `versions` are those an entry was stored under. */
export function tagTable (tags, now, versions = new Map(), increment = null) {
  const element = h('table', { class: 'tags' })
  const body = table(element, 'Tags, their versions, and who incremented them', [{ title: 'Tag' }, { title: 'Version', classes: 'n' }, { title: 'Last increment' }])
  body.append(...tags.map(({ tag, version, app_version: app, incremented }) => {
    const stored = versions.get(tag)
    const other = stored !== undefined && version !== null && version !== undefined && stored !== version
    return h('tr', { class: isImplicit(tag) ? 'implicit' : '' },
      h('th', { scope: 'row' }, name(tag), increment && !isImplicit(tag) && h('button', { class: 'quiet small', onclick: () => increment(tag), 'aria-label': `Increment ${cut(tag, 60)}…` }, 'Increment…')),
      h('td', { class: 'n mono' }, version ?? NONE, other && h('div', { class: 'bad' }, `stored ${stored}`), app !== undefined && h('div', { class: 'muted' }, `app's ${app}`)),
      h('td', {}, incremented ? cause(incremented, now) : h('span', { class: 'muted' }, version === null ? 'none known' : 'not remembered')))
  }))
  if (tags.length === 0) body.append(empty(3, 'No tags.'))
  return h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Tags' }, element)
}

/** What there is to say of an entry, or of what is stored for a request. */
export function entryFacts (entry, now) {
  const left = text => `${span((Date.parse(text) - now) / 1000)}`
  const over = Date.parse(entry.fresh_until) <= now
  return facts([
    ['State', state(entry.state)],
    ['Status', entry.status],
    ['Rule', entry.rule === '' ? 'none' : name(entry.rule)],
    ['Logical key', name(entry.logical_key, 'whole')],
    ['Key', h('span', { class: 'mono small' }, entry.key)],
    ['Stored', h('span', { title: date(entry.created) }, ago(entry.created, now))],
    ['Fresh', over ? `until ${ago(entry.fresh_until, now)}` : `for ${left(entry.fresh_until)} more`],
    ['Kept', h('span', { title: date(entry.expires) }, Date.parse(entry.expires) <= now ? 'no longer' : `for ${left(entry.expires)} more`)],
    ['Hits', count(entry.hits)],
    ['Size', bytes(entry.size_bytes)],
    ['Kept in', entry.tier],
    ['Varies by', entry.vary?.length > 0 && shown(entry.vary.join(', '))],
    ['Invalidated', entry.invalidated && h('span', {}, name(entry.invalidated.tag, 'inline'), ' ', entry.invalidated.at && cause(entry.invalidated, now))]
  ])
}

/** A plan, as `tagalong explain --json` prints it. */
export function planFacts (plan) {
  const tags = list => Array.isArray(list) ? h('span', { class: 'chips' }, list.map(tag => chip(tag, 'tag'))) : `none: ${shown(list.missing)}`
  return facts([
    ['Rule', plan.rule === undefined ? 'none matches' : name(plan.rule)],
    ['Plan', plan.plan === 'lookup' ? 'look up' : `pass to the app: ${shown(plan.why)}`],
    ['Token', plan.token && shown(plan.token)],
    ['Logical key', plan.logical_key && name(plan.logical_key, 'whole')],
    ['Key fields', plan.fields?.length > 0 && h('ul', { class: 'mono small plain' }, plan.fields.map(({ name: field, value }) =>
      h('li', {}, value === null || value === undefined ? `${shown(field)} is absent` : `${shown(field)} = ${shown(value)}`)))],
    ['Tags', plan.tags && tags(plan.tags)],
    ['Increments', plan.increments?.length > 0 && plan.increments.map(it => h('div', {}, tags(it.tags), ` on ${shown(it.on_status)}`))]
  ])
}

/** The tag that names the URL of an entry, without its mark; undefined if it has none. */
export function urlOf (tags) {
  return tags.map(it => it.tag).find(tag => tag.startsWith('~uri:'))?.slice('~uri:'.length)
}
