// npm's oidc-provider as bench/ measures it: in-memory adapter, one client per role, its own
// development pages. Started in tests/interop, where it is installed.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

console.info = console.error // its notices; stdout is for the line below
const here = createRequire(`${process.cwd()}/`)
const { default: Provider } = await import(pathToFileURL(here.resolve('oidc-provider')))
const { version } = here('oidc-provider/package.json')

const RESOURCE = 'https://api.example.com'
const CALLBACK = 'http://localhost:8001/callback'
const secret = 'a-secret-of-thirty-two-characters'
const jwk = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' })

const configuration = {
  clients: [
    {
      client_id: 'web',
      client_secret: secret,
      redirect_uris: [CALLBACK],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
    },
    {
      client_id: 'service',
      client_secret: secret,
      redirect_uris: [],
      grant_types: ['client_credentials'],
      response_types: [],
    },
  ],
  jwks: {
    keys: [
      { ...jwk('rsa', { modulusLength: 2048 }), kid: 'rsa', use: 'sig' },
      { ...jwk('ec', { namedCurve: 'P-256' }), kid: 'ec', use: 'sig' },
    ],
  },
  cookies: { keys: ['a-key-for-cookies'] },
  claims: { openid: ['sub'], profile: ['name', 'given_name'], email: ['email', 'email_verified'] },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: 'Ben Example',
      given_name: 'Ben',
      email: `${id}@example.com`,
      email_verified: true,
    }),
  }),
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: 'api:read api:write',
        audience: RESOURCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
}

const server = createServer()
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://localhost:${server.address().port}`
  server.on('request', new Provider(issuer, configuration).callback())
  console.log(JSON.stringify({ issuer, secret, version }))
})
process.on('SIGTERM', () => process.exit(0))
