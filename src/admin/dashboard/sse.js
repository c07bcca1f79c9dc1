// Reads an event stream (HTML Living Standard, 9.2.6) from pieces of text, wherever they are cut. Pure.

/** Collects the lines of a `text/event-stream`; `push` gives the events that a piece of it has ended. */
export class Events {
  #rest = ''
  #event = ''
  #data = []

  /** @returns {{event: string, data: string}[]} */
  push (piece) {
    const found = []
    // A line feed may still follow a carriage return at the very end: that one waits.
    const lines = (this.#rest + piece).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop()
    for (const line of lines) {
      if (line === '') this.#end(found)
      else this.#field(line)
    }
    return found
  }

  #field (line) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line)
    if (name === 'event') this.#event = value
    if (name === 'data') this.#data.push(value)
    // A comment has no name; `id` and `retry` are not used here.
  }

  #end (found) {
    if (this.#data.length > 0) found.push({ event: this.#event || 'message', data: this.#data.join('\n') })
    this.#event = ''
    this.#data = []
  }
}
