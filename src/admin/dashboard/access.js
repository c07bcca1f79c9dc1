// Asks for the admin token when a call needs one.

import { $, h, say } from './dom.js'

/** What a token is made of (RFC 6750, and a little more): all that a header field can hold, without blanks. */
const TOKEN = /^[!-~]+$/
const UNFIT = 'A token has letters, digits and signs of ASCII only, and no blanks. Is that all of it, and nothing else?'

/** Shows the form, and resolves with what is entered; `refused` says that there was one, and it was wrong. */
export function askForToken (refused) {
  const dialog = $('access')
  const input = h('input', { type: 'password', required: true, autocomplete: 'current-password', spellcheck: 'false' })
  const wrong = h('p', { class: 'problem', role: 'alert', hidden: !refused }, 'That token was refused.')
  const form = h('form', { class: 'fields' },
    h('h2', { id: 'access-h' }, 'Admin token'),
    wrong,
    h('p', { class: 'muted' }, 'This sidecar answers only callers that present its token. It stays in this tab and is forgotten with it.'),
    h('label', {}, 'Token', input),
    h('p', { class: 'buttons end' }, h('button', { class: 'primary' }, 'Sign in')))
  say($('connection').lastElementChild, 'Token needed')
  dialog.replaceChildren(form)
  // Without a token there is nothing to see behind it. A browser asks whether it may be closed, but not every time.
  const keepOpen = event => {
    event.preventDefault()
    if (dialog.open) return
    dialog.showModal()
    input.focus()
  }
  dialog.addEventListener('cancel', keepOpen)
  dialog.addEventListener('close', keepOpen)
  if (!dialog.open) dialog.showModal()
  input.focus()
  return new Promise(resolve => form.addEventListener('submit', event => {
    event.preventDefault()
    const token = input.value.trim()
    if (!TOKEN.test(token)) {
      say(wrong, UNFIT)
      wrong.hidden = false
      input.select()
      return
    }
    dialog.removeEventListener('cancel', keepOpen)
    dialog.removeEventListener('close', keepOpen)
    dialog.close()
    resolve(token)
  }))
}
