// Puts the page together: what is asked of the sidecar, when, and who is told.

import { askForToken } from './access.js'
import { Actions } from './actions.js'
import { Api, follow, paced } from './api.js'
import { Audit } from './audit.js'
import { Charts } from './charts.js'
import { $, announce, h, problem } from './dom.js'
import { Drawer } from './drawer.js'
import { Entries } from './entries.js'
import { Explain } from './explain.js'
import { Feed } from './feed.js'
import { connection, Overview } from './overview.js'
import { Rules } from './rules.js'
import { History } from './series.js'
import { Tags } from './tags.js'

/** What no event tells of is asked for so often, in milliseconds. */
const RULES_EVERY = 15_000
const TAGS_EVERY = 3000
/** What was missed is asked for no more often than this. */
const CATCH_UP_EVERY = 5000

const api = new Api(askForToken)
const history = new History()
const overview = new Overview(history)
const charts = new Charts(history)
let newest = null
let known = []

const actions = new Actions(api, {
  namespace: () => newest?.namespace ?? '',
  rules: () => known.map(it => it.rule).filter(Boolean),
  done: () => {
    rules.ask()
    tags.ask()
    void entries.again()
    void drawer.again()
    void explain.again()
  }
})
const drawer = new Drawer(api, actions)
const entries = new Entries(api, it => void drawer.entry(it))
const audit = new Audit(api)
const feed = new Feed(tag => void drawer.tag(tag))
const tagLists = new Tags(actions, tag => void drawer.tag(tag))
const ruleTable = new Rules(actions, rule => entries.rule(rule))
const explain = new Explain(api, actions)

/** Asks again and again while somebody looks, one call at a time; `ask` is for when there is a reason. */
function every (milliseconds, path, use) {
  let [busy, wanted] = [false, false]
  const ask = async () => {
    if (busy) {
      wanted = true
      return
    }
    busy = true
    try {
      use(await api.get(path), Date.now())
      trouble(path, null)
    } catch (error) {
      // That the sidecar is away is told by the stream.
      trouble(path, error.status === undefined ? null : error)
    }
    busy = false
    if (wanted) {
      wanted = false
      void ask()
    }
  }
  setInterval(() => { if (!document.hidden) void ask() }, milliseconds)
  return { ask: () => void ask() }
}

/** A call that is refused is said at the top of the page, for as long as it is. */
function trouble (path, error) {
  const id = `trouble-${path}`
  document.getElementById(id)?.remove()
  if (error) $('main').prepend(h('div', { id, class: 'notice bad' }, h('span', { class: 'mono' }, path), problem(error)))
}

const rules = every(RULES_EVERY, '/v1/rules', (answer, now) => {
  known = answer.rules
  ruleTable.known(answer, now)
})
const tags = every(TAGS_EVERY, '/v1/tags', (answer, now) => tagLists.known(answer, now))

/** What the page shows that no event repeats: at the start, and after each gap. A page that is too slow is not helped by more. */
const catchUp = paced(CATCH_UP_EVERY, async () => {
  rules.ask()
  tags.ask()
  await Promise.all([audit.load(), lastIncrements()])
})

async function lastIncrements () {
  const path = '/v1/increments'
  try {
    feed.known(await api.get(path, { limit: 100 }))
    trouble(path, null)
  } catch (error) {
    trouble(path, error.status === undefined ? null : error)
  }
}

const on = {
  stats (stats) {
    const before = newest
    newest = stats
    history.push(stats)
    schedule()
    // A reload has happened, or has failed.
    if (before && (before.epoch !== stats.epoch || codes(before) !== codes(stats))) rules.ask()
  },
  increment: increment => feed.push(increment),
  audit (record) {
    audit.push(record)
    if (record.what === 'reload') rules.ask()
  },
  lagged ({ missed }) {
    feed.lagged(missed)
    void catchUp()
  }
}

const codes = stats => stats.health.reasons.map(it => it.code).join()

let scheduled = false
/** Draws once however many events came in between, and not while nobody looks. */
function schedule () {
  if (scheduled) return
  scheduled = true
  requestAnimationFrame(() => {
    scheduled = false
    overview.show(newest)
    ruleTable.count(newest)
    charts.draw()
  })
}

function theme () {
  const select = $('theme')
  select.value = document.documentElement.dataset.theme ?? 'auto'
  select.addEventListener('change', () => {
    if (select.value === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = select.value
    charts.recolour()
    try {
      localStorage.setItem('tagalong.theme', select.value)
    } catch {
      announce('The theme is not remembered: storage is forbidden here.')
    }
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => charts.recolour())
}

theme()
charts.draw()
$('forget-token').addEventListener('click', () => {
  api.forget()
  location.reload()
})
let lost = false
void follow(api, {
  onEvent: (name, data) => on[name]?.(data),
  onState (state) {
    connection(state)
    $('forget-token').hidden = api.token === null
    if (state.state === 'live') void catchUp()
    if (lost !== (state.state === 'lost')) announce(state.state === 'lost' ? 'Disconnected from the sidecar.' : 'Connected to the sidecar.')
    lost = state.state === 'lost'
  }
})
