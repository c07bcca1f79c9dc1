// Asks for the admin token when a call needs one.

import { $, h, say } from './dom.js'

/** Shows the form, and resolves with what is entered; `refused` says that there was one, and it was wrong. */
export function askForToken (refused) {
  const dialog = $('access')
  const input = h('input', { type: 'password', required: true, autocomplete: 'current-password', spellcheck: 'false' })
  const form = h('form', { class: 'fields' },
    h('h2', { id: 'access-h' }, 'Admin token'),
    h('p', { class: 'problem', role: 'alert', hidden: !refused }, 'That token was refused.'),
    h('p', { class: 'muted' }, 'This sidecar answers only callers that present its token. It stays in this tab and is forgotten with it.'),
    h('label', {}, 'Token', input),
    h('p', { class: 'buttons end' }, h('button', { class: 'primary' }, 'Sign in')))
  say($('connection').lastElementChild, 'Token needed')
  dialog.replaceChildren(form)
  dialog.addEventListener('cancel', keepOpen)
  if (!dialog.open) dialog.showModal()
  input.focus()
  return new Promise(resolve => form.addEventListener('submit', event => {
    event.preventDefault()
    dialog.removeEventListener('cancel', keepOpen)
    dialog.close()
    resolve(input.value.trim())
  }))
}

/** Without a token there is nothing to see behind it. */
function keepOpen (event) {
  event.preventDefault()
}
