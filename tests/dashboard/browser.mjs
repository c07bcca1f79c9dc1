// The system's Chromium without a screen, and what a page may not do there: load from elsewhere, complain, break its policy.
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'

export const SHOTS = fileURLToPath(new URL('../../target/dashboard/', import.meta.url))
mkdirSync(SHOTS, { recursive: true })

const executablePath = process.env.CHROMIUM ?? execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim()

// Root has no sandbox, nor has a container of CI; all that is opened is our own.
const args = process.getuid() === 0 || process.env.CI ? ['--no-sandbox'] : []

export function launch () {
  return chromium.launch({ executablePath, args })
}

/** Opens a page and keeps what it asks for and what it complains of. */
export async function open (browser, url, { width = 1440, height = 900, colorScheme = 'light', reducedMotion = 'reduce', path = '/', ...options } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion, locale: 'en-GB', ...options })
  const page = await context.newPage()
  const seen = { requests: [], complaints: [] }
  page.on('request', request => seen.requests.push(request.url()))
  page.on('console', message => { if (['error', 'warning'].includes(message.type())) seen.complaints.push(message.text()) })
  page.on('pageerror', error => seen.complaints.push(String(error)))
  await page.addInitScript(() => {
    window.violations = []
    document.addEventListener('securitypolicyviolation', event => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`))
  })
  await page.goto(url + path)
  return { page, seen, context }
}

/** Until the connection is what it should be. */
export function connected (page, state = 'live') {
  return page.waitForSelector(`html[data-connection=${state}]`)
}

/** A picture of the whole page, to be looked at. */
export async function shoot (page, name, fullPage = true) {
  if (fullPage) await page.evaluate(() => scrollTo(0, 0))
  await page.evaluate(() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve))))
  await page.screenshot({ path: `${SHOTS}${name}.png`, fullPage })
}
