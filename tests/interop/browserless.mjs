// A browser's part in a sign-in, without a browser: it keeps cookies, follows redirects one by one,
// and fills in the provider's plain forms.
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'

const MAX_STEPS = 20
const TOTP_PERIOD = 30
const FIELDS = new Set(['username', 'password', 'code'])
const BUTTONS = ['decision', 'logout']

/**
 * Seconds that the provider's clock is ahead: what earlier runs moved it by (the second argument on
 * the command line) and what this one did. The clock of the TOTP codes is ahead by as much.
 */
export let advance = Number(process.argv[3] ?? 0)

/** Read what `idp dev --json` printed, from the file that the command line names. */
export function readProvider() {
  const path = process.argv[2]
  if (!path) throw new Error(`usage: node ${process.argv[1]} PROVIDER.json [SECONDS_AHEAD]`)
  return JSON.parse(readFileSync(path, 'utf8').split('\n', 1)[0])
}

/** Run a journey; print its result as one line of JSON, or say what failed and exit with 1. */
export async function report(journey) {
  try {
    const result = await journey(readProvider())
    console.log(JSON.stringify({ ...result, advance }))
  } catch (error) {
    console.error(explain(error))
    process.exitCode = 1
  }
}

function explain(error) {
  const lines = [error.stack ?? String(error)]
  for (const name of ['code', 'error', 'error_description', 'status']) {
    if (error[name] !== undefined) lines.push(`  ${name}: ${error[name]}`)
  }
  if (error.cause !== undefined) {
    const detail = error.cause instanceof Error ? explain(error.cause) : show(error.cause)
    lines.push(`  cause: ${detail}`)
  }
  return lines.join('\n')
}

function show(value) {
  if (value instanceof URLSearchParams) return value.toString()
  if (value instanceof Response) return `${value.status} ${value.statusText} from ${value.url}`
  return JSON.stringify(value)
}

export function expect(holds, message) {
  if (!holds) throw new Error(message)
}

export function find(records, key, value) {
  const found = records.find((record) => record[key] === value)
  expect(found, `the provider has no ${key} ${value}`)
  return found
}

/** Move the provider's clock, and with it the TOTP codes: a code is accepted once per time step. */
export async function advanceClock(provider, seconds) {
  const response = await fetch(provider.clock_url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ advance: seconds }),
  })
  expect(response.ok, `POST ${provider.clock_url} answered ${response.status}`)
  await response.body?.cancel()
  advance += seconds
}

/** RFC 6238: SHA-1, six digits, steps of 30 seconds. */
export function totp(secret, seconds = Date.now() / 1000 + advance) {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(seconds / TOTP_PERIOD)))
  const mac = createHmac('sha1', base32(secret)).update(counter).digest()
  const offset = mac[19] & 0x0f
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

function base32(text) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  let bits = ''
  for (const letter of text.toUpperCase().replace(/[\s=]/g, '')) {
    const value = alphabet.indexOf(letter)
    expect(value >= 0, `not base32: ${letter}`)
    bits += value.toString(2).padStart(5, '0')
  }
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
}

/** One browser profile, with one user at the keyboard. */
export class Browserless {
  #cookies = []

  constructor(provider, username) {
    this.provider = provider
    this.user = find(provider.users, 'username', username)
  }

  /** Sign in at an authorization URL; return where the browser ends, and which fields were asked. */
  async signIn(authorizationUrl, redirectUri) {
    return this.#visit(authorizationUrl, redirectUri)
  }

  /** Sign out at an end-session URL; a page that asks for confirmation is confirmed. */
  async signOut(endSessionUrl, returnUri) {
    return this.#visit(endSessionUrl, returnUri)
  }

  async #visit(start, returnUri) {
    const visit = { asked: [], retried: false }
    let request = { url: new URL(start), method: 'GET', body: undefined }
    for (let step = 0; step < MAX_STEPS; step += 1) {
      const response = await this.#send(request)
      const location = response.headers.get('location')
      if (response.status >= 300 && response.status < 400 && location) {
        await response.body?.cancel()
        const next = new URL(location, request.url)
        if (next.origin !== new URL(this.provider.issuer).origin) {
          expect(isAt(next, returnUri), `redirected to ${next}, not to ${returnUri}`)
          return { url: next, asked: visit.asked }
        }
        request = redirected(request, response.status, next)
        continue
      }
      const page = await response.text()
      expect(
        response.status < 400 || (response.status < 500 && parseForm(page)),
        `${request.method} ${request.url} answered ${response.status}: ${words(page)}`,
      )
      request = await this.#answer(page, request.url, visit)
    }
    throw new Error(`still not at ${returnUri} after ${MAX_STEPS} steps, asked: ${JSON.stringify(visit.asked)}`)
  }

  async #answer(page, pageUrl, visit) {
    const form = parseForm(page)
    expect(form, `no form at ${pageUrl}: ${words(page)}`)
    if (form.fields.length > 0) await this.#notice(form.fields, visit, page)
    const body = new URLSearchParams([...form.hidden, ...(await this.#fill(form))])
    return { url: new URL(form.action, pageUrl), method: 'POST', body }
  }

  /** A code may be refused once: another run may have used it up. Anything else is asked once. */
  async #notice(fields, visit, page) {
    const asked = fields.join(' and ')
    if (!visit.asked.some((earlier) => earlier.join(' and ') === asked)) {
      visit.asked.push(fields)
      return
    }
    expect(asked === 'code' && !visit.retried, `asked again for ${asked}: ${words(page)}`)
    visit.retried = true
    await advanceClock(this.provider, TOTP_PERIOD)
  }

  async #fill(form) {
    const { username, password, totp_secret: secret } = this.user
    const answers = { username: () => username, password: () => password, code: () => this.#code(secret) }
    const values = []
    for (const name of form.fields) {
      expect(name in answers, `the form at ${form.action} asks for an unknown field: ${name}`)
      values.push([name, await answers[name]()])
    }
    if (form.fields.length === 0) {
      if (form.buttons.has('decision')) values.push(['decision', 'allow'])
      else if (form.buttons.has('logout')) values.push(['logout', 'yes'])
      else throw new Error(`nothing to answer in the form at ${form.action}`)
    }
    return values
  }

  async #code(secret) {
    expect(secret, `${this.user.username} is asked for a code, but has no TOTP secret`)
    if (usedCodes.has(totp(secret))) await advanceClock(this.provider, TOTP_PERIOD)
    const code = totp(secret)
    usedCodes.add(code)
    return code
  }

  async #send({ url, method, body }) {
    const headers = { accept: 'text/html', 'accept-language': 'en' }
    const cookies = this.#cookiesFor(url)
    if (cookies) headers.cookie = cookies
    if (method === 'POST') headers.origin = url.origin
    const response = await fetch(url, { method, headers, body, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) this.#keep(line, url)
    return response
  }

  #keep(line, url) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim())
    const cut = pair.indexOf('=')
    const cookie = { name: pair.slice(0, cut), value: pair.slice(cut + 1), host: url.hostname, path: '/' }
    let gone = cookie.value === ''
    for (const attribute of attributes) {
      const [name, ...rest] = attribute.split('=')
      const value = rest.join('=')
      if (name.toLowerCase() === 'path' && value.startsWith('/')) cookie.path = value
      if (name.toLowerCase() === 'max-age' && Number(value) <= 0) gone = true
      if (name.toLowerCase() === 'expires' && Date.parse(value) <= Date.now()) gone = true
    }
    this.#cookies = this.#cookies.filter(
      ({ name, host, path }) => name !== cookie.name || host !== cookie.host || path !== cookie.path,
    )
    if (!gone) this.#cookies.push(cookie)
  }

  #cookiesFor(url) {
    return this.#cookies
      .filter(({ host, path }) => host === url.hostname && isUnder(url.pathname, path))
      .sort((one, other) => other.path.length - one.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }
}

const usedCodes = new Set()

function redirected({ method, body }, status, url) {
  const keeps = status === 307 || status === 308
  return keeps ? { url, method, body } : { url, method: 'GET', body: undefined }
}

function isAt(url, expected) {
  const wanted = new URL(expected)
  return url.origin === wanted.origin && url.pathname === wanted.pathname
}

function isUnder(path, root) {
  return path === root || path.startsWith(root.endsWith('/') ? root : `${root}/`)
}

/** Parse the first posted form on the page that a user can answer, or return undefined. */
export function parseForm(page) {
  for (const [, attributes, inside] of page.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)) {
    const form = parseAttributes(attributes)
    const controls = [...inside.matchAll(/<(input|button|select|textarea)\b((?:"[^"]*"|'[^']*'|[^>"'])*)>/gi)]
    const parsed = { action: form.action ?? '', hidden: [], fields: [], buttons: new Set() }
    for (const [, tag, text] of controls) sortControl(parsed, tag.toLowerCase(), parseAttributes(text))
    const answerable =
      parsed.fields.some((name) => FIELDS.has(name)) || BUTTONS.some((name) => parsed.buttons.has(name))
    if (form.method?.toLowerCase() === 'post' && answerable) return parsed
  }
  return undefined
}

function sortControl(form, tag, { type = '', name, value = '', checked, disabled }) {
  if (!name || disabled !== undefined) return
  const kind = tag === 'input' ? type.toLowerCase() : tag
  if (kind === 'hidden') form.hidden.push([name, value])
  else if (kind === 'button' || kind === 'submit') form.buttons.add(name)
  else if (kind === 'checkbox' || kind === 'radio') {
    if (checked !== undefined) form.hidden.push([name, value || 'on'])
  } else if (kind !== 'select') form.fields.push(name)
}

function parseAttributes(text) {
  const attributes = {}
  for (const [, name, double, single, bare] of text.matchAll(
    /([^\s"'=<>/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+)))?/g,
  )) {
    attributes[name.toLowerCase()] = unescape(double ?? single ?? bare ?? '')
  }
  return attributes
}

function unescape(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(amp|lt|gt|quot|apos));/gi, (_, hex, decimal, name) =>
    name ? named[name.toLowerCase()] : String.fromCodePoint(parseInt(hex ?? decimal, hex ? 16 : 10)),
  )
}

function words(page) {
  const body = page.replace(/<(style|script|head)\b[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ')
  return unescape(body).replace(/\s+/g, ' ').trim().slice(0, 400)
}
