// What changes something: each is filled in, said in full, confirmed, done, and its outcome told.

import { count, cut, plural, shown } from './format.js'
import { $, announce, h, problem } from './dom.js'

const lines = text => text.split('\n').map(it => it.trim()).filter(Boolean)
const tagList = tags => tags.length <= 3 ? tags.map(it => `“${cut(it, 80)}”`).join(', ') : `“${cut(tags[0], 80)}” and ${plural(tags.length - 1, 'other tag')}`

const constants = tags => tags?.length > 0 ? ` What the rules tag with a constant stays: ${tags.map(it => cut(it, 60)).join(', ')}.` : ''

/** What a purge has forgotten, as far as that was counted; of a URL, what was there. */
const done = (purged, here) => {
  if (typeof purged === 'number') return `${plural(purged, 'entry', 'entries')} purged.`
  if (typeof here !== 'number') return 'Purged.'
  return `Purged. For a GET of it this sidecar's memory had ${here === 0 ? 'nothing' : plural(here, 'entry', 'entries')}.`
}

/** What can be purged: what is asked for, how it is said, and how it is called. */
const TARGETS = {
  url: { title: 'A URL', field: 'URL', example: 'https://shop.example/users/42', effect: it => `everything that is stored for the URL “${cut(it)}”` },
  rule: { title: 'A rule', field: 'Rule', effect: it => `everything that the rule “${cut(it)}” has stored` },
  group: { title: 'A purge group', field: 'Group', effect: it => `everything in the purge group “${cut(it)}”` },
  tags: { title: 'Tags', field: 'Tags, one a line', many: true, effect: it => `everything with ${tagList(it)}` },
  match: { title: 'Logical keys that match', field: 'Pattern, * is anything', example: '*path=/users/*', effect: it => `every entry whose logical key matches “${cut(it)}”` },
  all: { title: 'Everything', effect: (_, namespace) => `everything of the namespace “${cut(namespace)}”, in every sidecar that shares it` }
}

export class Actions {
  #api
  #done
  #namespace = () => ''
  #rules = () => []

  /** @param done is told after something has changed */
  constructor (api, { namespace, rules, done }) {
    this.#api = api
    this.#namespace = namespace
    this.#rules = rules
    this.#done = done
    for (const button of document.querySelectorAll('[data-action]')) button.addEventListener('click', () => this[button.dataset.action]())
    // Nothing outside it is to close a dialog in which something is filled in, but Escape is.
    $('action').addEventListener('close', () => $('action').replaceChildren())
  }

  /** Forgets. With `{url}`, `{rule}` or `{tags}` that is what is asked about. */
  purge (given = {}) {
    const [chosen] = Object.keys(given)
    const target = chosen ?? 'url'
    const inputs = Object.fromEntries(Object.keys(TARGETS).map(id => [id, this.#input(id, given[id])]))
    const kind = select(Object.entries(TARGETS).map(([id, { title }]) => [id, title]), target)
    const soft = check('Soft: what is stored may still be served, stale, while it is fetched again')
    const fields = Object.entries(TARGETS).map(([id, { field }]) => labelled(field, inputs[id], id))
    const choose = () => {
      for (const it of fields) {
        const own = it.dataset.field === kind.value
        it.hidden = !own || kind.value === 'all'
        inputs[it.dataset.field].disabled = it.hidden
      }
      soft.hidden = kind.value === 'match'
    }
    kind.addEventListener('change', choose)
    choose()
    this.#form('Purge', [labelled('What', kind), ...fields, soft], () => {
      const id = kind.value
      const value = id === 'all' ? true : TARGETS[id].many ? lines(inputs[id].value) : inputs[id].value.trim()
      const gentle = id !== 'match' && soft.querySelector('input').checked
      const kept = gentle ? 'It may still be served, stale, while it is fetched again.' : 'The next request for it goes to the app.'
      return {
        title: 'Purge', verb: id === 'all' ? 'Purge everything' : 'Purge', danger: true,
        effect: `This forgets ${TARGETS[id].effect(value, this.#namespace())}. ${kept}`,
        type: id === 'all' ? this.#namespace() : undefined,
        call: ['POST', '/v1/purge', { [id]: value, ...(gentle ? { soft: true } : {}) }],
        result: ({ purged, here, ignored }) => done(purged, here) + constants(ignored)
      }
    }, Boolean(chosen))
  }

  /** Gives tags new versions. */
  increment (given = {}) {
    const tags = area('tags', (given.tags ?? []).join('\n'), 'User:42\nDashboard')
    const soft = check('Soft: what is stored may still be served, stale, while it is fetched again')
    const again = text('again', '', '2s')
    this.#form('Increment tags', [labelled('Tags, one a line', tags), soft, labelled('And once more after (optional)', again)], () => {
      const list = lines(tags.value)
      const gentle = soft.querySelector('input').checked
      const later = again.value.trim()
      return {
        title: 'Increment tags', verb: `Increment ${plural(list.length, 'tag')}`, danger: true,
        effect: `This gives ${tagList(list)} a new version: every entry with ${list.length === 1 ? 'it' : 'one of them'} ${gentle ? 'is stale and is fetched again' : 'no longer answers'}, in every sidecar.${later ? ` Once more after ${cut(later, 20)}.` : ''}`,
        list,
        call: ['POST', '/v1/tags/increment', { tags: list, ...(gentle ? { soft: true } : {}), ...(later ? { again: later } : {}) }],
        result: ({ incremented, ignored }) => `${plural(incremented, 'tag')} incremented.${constants(ignored)}`
      }
    }, Boolean(given.tags))
  }

  /** Fetches again now. */
  refresh (given = {}) {
    const kind = select([['url', 'A URL'], ['tags', 'Entries with tags']], given.tags ? 'tags' : 'url')
    const url = text('url', given.url ?? '', 'https://shop.example/users/42', 'url')
    const tags = area('tags', (given.tags ?? []).join('\n'), 'User:42')
    const fields = [labelled('URL', url, 'url'), labelled('Tags, one a line', tags, 'tags')]
    const choose = () => fields.forEach(it => {
      it.hidden = it.dataset.field !== kind.value
      it.querySelector('input, textarea').disabled = it.hidden
    })
    kind.addEventListener('change', choose)
    choose()
    const plan = cursor => {
      const body = kind.value === 'url' ? { url: url.value.trim() } : { tags: lines(tags.value) }
      const what = kind.value === 'url' ? `the URL “${cut(body.url)}”` : `up to 100 entries with ${tagList(body.tags)}`
      return {
        title: 'Refresh', verb: cursor ? 'Refresh the next ones' : 'Refresh',
        effect: `This asks the app for ${what}${cursor ? ', from where the last call ended,' : ''} now. What is stored answers until the new response is there.`,
        call: ['POST', '/v1/refresh', { ...body, ...(cursor ? { cursor } : {}) }],
        result: ({ refreshed, failed, skipped }) => `${count(refreshed)} refreshed, ${count(failed)} failed, ${count(skipped)} skipped${skipped > 0 ? ' (they need somebody’s credentials or header fields)' : ''}.`,
        more: answer => answer.cursor && plan(answer.cursor)
      }
    }
    this.#form('Refresh', [labelled('What', kind), ...fields], () => plan(null), Boolean(given.url ?? given.tags))
  }

  /** Reads the rule files. */
  reload () {
    this.#confirm({
      title: 'Reload rules', verb: 'Reload',
      effect: 'This reads the rule files now. If they are right, they are in force for every request from then on; if they are wrong, the rules stay as they are.',
      call: ['POST', '/v1/reload'],
      result: ({ rules, epoch }) => `${plural(rules, 'rule')} in force, epoch ${epoch}.`
    })
  }

  /** Deletes one entry. */
  remove (entry) {
    this.#confirm({
      title: 'Delete entry', verb: 'Delete', danger: true,
      effect: `This deletes one stored response, here and in every sidecar: “${cut(entry.logical_key)}”. Other variants of it stay.`,
      call: ['DELETE', `/v1/entries/${encodeURIComponent(entry.key)}`],
      result: ({ purged }) => `${plural(purged, 'entry', 'entries')} deleted.`
    })
  }

  /** Gives one entry another life. */
  life (entry) {
    const ttl = text('ttl', '', '60s')
    this.#form('Another life', [labelled('Fresh for, from now', ttl)], () => ({
      title: 'Another life', verb: 'Change',
      effect: `This keeps “${cut(entry.logical_key)}” fresh for ${cut(ttl.value.trim(), 20)} from now.`,
      call: ['PATCH', `/v1/entries/${encodeURIComponent(entry.key)}`, { ttl: ttl.value.trim() }],
      result: it => `Fresh until ${it.fresh_until}.`
    }))
  }

  #input (id, given) {
    const { example, many } = TARGETS[id]
    if (id === 'rule') return select(this.#rules().map(it => [it, shown(it)]), given)
    return many ? area(id, (given ?? []).join('\n'), 'User:42') : text(id, given ?? '', example, id === 'url' ? 'url' : 'text')
  }

  /** What is to be filled in first; with `skip` it is, and only to be confirmed. */
  #form (title, fields, plan, skip = false) {
    const form = h('form', { autocomplete: 'off', class: 'fields' }, heading(title), fields,
      h('p', { class: 'buttons end' }, cancel(), h('button', { class: 'primary' }, 'Continue…')))
    form.addEventListener('submit', event => {
      event.preventDefault()
      this.#confirm(plan(), form)
    })
    if (skip) return this.#confirm(plan(), form)
    show(form)
    form.querySelector('select, input, textarea').focus()
  }

  /** Says what will be done, and does it when that is confirmed. */
  #confirm (plan, form = null) {
    const typed = plan.type === undefined ? null : h('input', { type: 'text', required: true, autocomplete: 'off', spellcheck: 'false' })
    const go = h('button', { class: plan.danger ? 'danger filled' : 'primary' }, plan.verb)
    const told = h('div', { class: 'told', role: 'status' })
    const [method, path, body] = plan.call
    const step = h('form', { class: 'fields', autocomplete: 'off' }, heading(plan.title),
      h('p', { class: 'effect' }, plan.effect),
      plan.list?.length > 3 && h('ul', { class: 'mono small listed' }, plan.list.map(it => h('li', {}, shown(it)))),
      h('p', { class: 'mono small call' }, shown(`${method} ${path}${body ? ` ${JSON.stringify(body)}` : ''}`)),
      typed && h('label', {}, 'Type the namespace ', h('b', { class: 'mono' }, shown(plan.type)), ' to confirm', typed),
      told,
      h('p', { class: 'buttons end' }, form && h('button', { type: 'button', onclick: () => show(form) }, 'Back'), cancel(), go))
    if (typed) {
      const matches = () => { go.disabled = typed.value !== plan.type }
      typed.addEventListener('input', matches)
      matches()
    }
    step.addEventListener('submit', event => {
      event.preventDefault()
      go.disabled = true
      void this.#do(plan, told, go)
    })
    show(step)
    // Neither of the buttons: a key held down from the step before must not confirm this one.
    ;(typed ?? step.querySelector('h2')).focus()
  }

  async #do (plan, told, go) {
    told.replaceChildren(h('p', { class: 'muted' }, 'Asking…'))
    const [method, path, body] = plan.call
    try {
      const answer = await this.#api.call(method, path, { body })
      this.#tell(plan, plan.result(answer), plan.more?.(answer))
    } catch (error) {
      told.replaceChildren(problem(error))
      go.disabled = false
    }
    this.#done()
  }

  #tell (plan, text, more) {
    const close = h('button', { type: 'button', class: 'primary', onclick: () => $('action').close() }, 'Close')
    show(h('div', { class: 'fields' }, heading(plan.title), h('p', { class: 'result good', role: 'status' }, text),
      h('p', { class: 'buttons end' }, more && h('button', { onclick: () => this.#confirm(more) }, 'There are more…'), close)))
    close.focus()
    announce(text)
  }
}

function show (content) {
  const dialog = $('action')
  dialog.replaceChildren(content)
  if (!dialog.open) dialog.showModal()
}

const heading = text => h('h2', { id: 'action-h', tabindex: -1 }, text)
const cancel = () => h('button', { type: 'button', onclick: () => $('action').close() }, 'Cancel')
const text = (name, value, placeholder, type = 'text') => h('input', { type, name, value, placeholder, required: name !== 'again', spellcheck: 'false' })

function area (name, value, placeholder) {
  const element = h('textarea', { name, rows: 4, required: true, spellcheck: 'false', placeholder })
  element.value = value
  return element
}

function select (options, chosen) {
  const element = h('select', { required: true }, options.map(([value, title]) => h('option', { value }, title)))
  if (chosen !== undefined) element.value = chosen
  return element
}

function check (title) {
  return h('label', { class: 'check' }, h('input', { type: 'checkbox' }), title)
}

function labelled (title, input, field) {
  return h('label', { 'data-field': field }, title ?? '', input)
}
