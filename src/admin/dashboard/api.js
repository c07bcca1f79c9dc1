// The calls of the admin interface. The token is in this tab's session storage and in nothing else that outlives the page.

import { Events } from './sse.js'

const TOKEN = 'tagalong.token'
/** Longer than this without a byte, though there is one every second, the stream counts as broken. */
const SILENCE = 10_000
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 15_000
/** Without a stream the numbers are asked for at least so often. */
const POLL = 3000

/** Why a call was not done (RFC 9457). */
export class Problem extends Error {
  constructor (status, { title, detail, mistakes } = {}) {
    super(detail || title || `The sidecar answered ${status}.`)
    this.status = status
    this.title = title || `Status ${status}`
    this.mistakes = mistakes ?? []
  }
}

/** The sidecar did not answer at all. */
export class Away extends Error {
  constructor (cause) {
    super('The sidecar cannot be reached.', { cause })
    this.title = 'No answer'
    this.mistakes = []
  }
}

export class Api {
  #ask
  #asking = null

  /** @param ask asks the user for a token: `ask(refused)` resolves with it; `refused` is whether one was wrong */
  constructor (ask) {
    this.#ask = ask
  }

  get token () {
    return sessionStorage.getItem(TOKEN)
  }

  forget () {
    sessionStorage.removeItem(TOKEN)
  }

  get = (path, query) => this.call('GET', path, { query })
  post = (path, body) => this.call('POST', path, { body })

  /** Makes a call and gives the content of its answer. Throws `Problem` or `Away`. */
  async call (method, path, { query, body } = {}) {
    const response = await this.fetch(path + search(query), {
      method,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' }
    })
    if (response.status === 204) return {}
    return response.json().catch(cause => { throw new Away(cause) })
  }

  /**
   * A response that is not an error, asking for a token as often as one is needed. `onSend` is told whenever something is
   * sent, `onAsk` whenever the user is asked, who takes as long as people do.
   */
  async fetch (path, { onSend, onAsk, ...options }) {
    for (;;) {
      onSend?.()
      const sent = this.token
      const headers = { ...options.headers, ...(sent ? { Authorization: `Bearer ${sent}` } : {}) }
      const response = await fetch(path, { ...options, headers, cache: 'no-store', redirect: 'error' })
        .catch(cause => { throw new Away(cause) })
      if (response.ok) return response
      if (response.status !== 401) throw new Problem(response.status, await response.json().catch(() => ({})))
      await response.body?.cancel()
      onAsk?.()
      if (sent === this.token) await this.#renew(Boolean(sent))
    }
  }

  /** However many calls need a token, the user is asked once. */
  #renew (refused) {
    this.forget()
    this.#asking ??= this.#ask(refused)
      .then(token => sessionStorage.setItem(TOKEN, token))
      .finally(() => { this.#asking = null })
    return this.#asking
  }
}

/** `?a=1&b=2`: without what is empty, and a list as the same name several times. */
export function search (query = {}) {
  const pairs = Object.entries(query).flatMap(([name, value]) => [value].flat().map(one => [name, one]))
  const text = new URLSearchParams(pairs.filter(([, value]) => value !== undefined && value !== null && value !== '')).toString()
  return text && `?${text}`
}

/**
 * Follows `/v1/events` for as long as the page is open, and tells of each event and of the connection:
 * `onEvent(name, data)`, `onState({state: 'live' | 'lost' | 'polling', since, again, why})`.
 */
export async function follow (api, { onEvent, onState }) {
  let [failures, since] = [0, null]
  for (;;) {
    const opened = { at: 0 }
    const why = await listen(api, onEvent, () => {
      opened.at = Date.now()
      failures = 0
      since = null
      onState({ state: 'live' })
    }).catch(error => error)
    since ??= new Date()
    const again = pause(failures++)
    const answered = await poll(api, onEvent)
    onState({ state: answered ? 'polling' : 'lost', since, again, why: why?.message ?? 'The stream has ended.' })
    await new Promise(resolve => setTimeout(resolve, answered ? Math.min(again, POLL) : again))
  }
}

/** Doubling, with some chance, so that the pages of a restarted sidecar do not all come at once. */
export function pause (failures, chance = Math.random()) {
  return Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures, 8)) * (0.75 + chance / 2)
}

/**
 * Of an action that is costly where there is much to do already: asked for while one is under way, or before so many milliseconds
 * have passed since it began, it is done once more after that, however often it was asked for.
 */
export function paced (milliseconds, action) {
  let [busy, wanted] = [false, false]
  return async function ask () {
    wanted = true
    if (busy) return
    busy = true
    while (wanted) {
      wanted = false
      const passed = new Promise(resolve => setTimeout(resolve, milliseconds))
      await action()
      await passed
    }
    busy = false
  }
}

/** Where no stream is to be had the numbers may be: others have all streams, or something in between holds them up. */
async function poll (api, onEvent) {
  try {
    onEvent('stats', await api.get('/v1/stats'))
    return true
  } catch {
    return false // what is wrong has been told by the stream
  }
}

async function listen (api, onEvent, onOpen) {
  const silence = new AbortController()
  let timer
  const heard = () => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(), SILENCE)
  }
  try {
    const response = await api.fetch('/v1/events', {
      signal: silence.signal,
      headers: { Accept: 'text/event-stream' },
      onSend: heard,
      onAsk: () => clearTimeout(timer)
    })
    onOpen()
    heard()
    const events = new Events()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (;;) {
      const { value, done } = await reader.read().catch(cause => { throw new Away(cause) })
      if (done) return undefined
      heard()
      for (const { event, data } of events.push(value)) onEvent(event, JSON.parse(data))
    }
  } finally {
    clearTimeout(timer)
  }
}
