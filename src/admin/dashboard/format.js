// Numbers, sizes, times and names as people read them. Pure: the time is handed in.

const LANGUAGE = 'en'
const whole = new Intl.NumberFormat(LANGUAGE, { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat(LANGUAGE, { notation: 'compact', maximumSignificantDigits: 3 })
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })

/** What stands where there is no number: nothing has been measured, which is not 0. */
export const NONE = '–'

const isNumber = n => typeof n === 'number' && Number.isFinite(n)

/** 12,345 */
export function count (n) {
  return isNumber(n) ? whole.format(n) : NONE
}

/** 12.3K, for where there is little room; exact below ten thousand. */
export function short (n) {
  if (!isNumber(n)) return NONE
  return Math.abs(n) < 10_000 ? whole.format(n) : compact.format(n)
}

/** Requests per second: three digits, and whole from a hundred on. */
export function rate (n) {
  if (!isNumber(n)) return NONE
  if (n === 0) return '0'
  if (n >= 10_000) return compact.format(n)
  if (n >= 100) return whole.format(n)
  return n >= 10 ? n.toFixed(1) : n.toFixed(2)
}

/** A share from 0 to 1 as a percentage. It says 100 only if it is all, and 0 only if it is none. */
export function percent (share) {
  if (!isNumber(share)) return NONE
  if (share <= 0) return '0\u202f%'
  if (share >= 1) return '100\u202f%'
  return `${Math.min(99.9, Math.max(0.1, share * 100)).toFixed(1)}\u202f%`
}

/** 3.4 MiB, with the units that the files of Tagalong use. */
export function bytes (n) {
  if (!isNumber(n)) return NONE
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (Math.abs(n) >= 1024 && unit < units.length - 1) {
    n /= 1024
    unit += 1
  }
  return `${unit === 0 || n >= 100 ? whole.format(n) : n.toFixed(1)}\u202f${units[unit]}`
}

/** A short time, of a request: 87 µs, 3.4 ms, 1.20 s. */
export function latency (seconds) {
  if (!isNumber(seconds)) return NONE
  const digits = (n, unit) => `${n >= 100 ? whole.format(n) : n >= 10 ? n.toFixed(1) : n.toFixed(2)}\u202f${unit}`
  if (seconds === 0) return '0\u202fs'
  if (seconds < 0.000_999_5) return digits(seconds * 1e6, 'µs')
  if (seconds < 0.999_5) return digits(seconds * 1e3, 'ms')
  return digits(seconds, 's')
}

/** A long time, of a life: 3 s, 4 m 10 s, 2 h 5 m, 7 d; or only its largest unit. */
export function span (seconds, units = 2) {
  if (!isNumber(seconds)) return NONE
  const sign = seconds < 0 ? '−' : ''
  let rest = Math.abs(seconds)
  if (rest < 1 && rest > 0) return `${sign}${latency(rest)}`
  rest = Math.round(rest)
  const parts = [['d', 86_400], ['h', 3600], ['m', 60], ['s', 1]]
  const found = parts.findIndex(([, size]) => rest >= size)
  if (found < 0) return '0\u202fs'
  const shown = []
  for (const [unit, size] of parts.slice(found, found + units)) {
    const n = Math.floor(rest / size)
    rest -= n * size
    if (n > 0) shown.push(`${n}\u202f${unit}`)
  }
  return sign + shown.join(' ')
}

/** Milliseconds since 1970 of a time in an answer; NaN if it is none. */
export function instant (text) {
  return Date.parse(text)
}

/** How long before `now` (in milliseconds) something was: "3 s ago". */
export function ago (text, now, units = 1) {
  const seconds = (now - instant(text)) / 1000
  if (!isNumber(seconds)) return NONE
  return seconds < 1 ? 'just now' : `${span(seconds, units)} ago`
}

/** The time of day, with the date if it is another day than `now`. */
export function time (text, now) {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) return NONE
  const today = at.toDateString() === new Date(now).toDateString()
  return today ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`
}

/** Date and time in full. */
export function date (text) {
  const at = new Date(text)
  return Number.isNaN(at.getTime()) ? NONE : full.format(at)
}

// Controls, what turns the direction of writing, what is not seen, and what ends a line: names are one line, left to right.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu

/** A name from outside with all that could hide or rearrange what is around it spelled out: `\u{202e}`. */
export function shown (name) {
  return String(name).replace(UNSEEN, it => `\\u{${it.codePointAt(0).toString(16)}}`)
}

/** A name cut in its middle, for sentences; lists cut by the room there is. */
export function cut (name, most = 160) {
  const letters = Array.from(shown(name))
  if (letters.length <= most) return letters.join('')
  const half = Math.floor((most - 1) / 2)
  return `${letters.slice(0, half).join('')}…${letters.slice(-half).join('')}`
}

/** Whether the cache made a tag itself: for a URL, a rule, everything. No app and no rule can. */
export function isImplicit (tag) {
  return tag.startsWith('~')
}

/** `one` for 1, else `many`, with the number: "1 tag", "2 tags". */
export function plural (n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`
}
