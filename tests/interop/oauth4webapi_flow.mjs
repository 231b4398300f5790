// The main journey with oauth4webapi, which does nothing by itself and checks every answer strictly:
// a native client on another loopback port, a service, and a client that signs its assertions.
import * as oauth from 'oauth4webapi'

import { Browserless, advance, expect, find, report } from './browserless.mjs'

const SCOPE = 'openid profile email offline_access'
const OTHER_PORT = '53117'
const options = { [oauth.allowInsecureRequests]: false }

await report(async (provider) => {
  options[oauth.allowInsecureRequests] = provider.issuer.startsWith('http:')
  const issuer = new URL(provider.issuer)
  const discovered = await oauth.discoveryRequest(issuer, { ...options, algorithm: 'oidc' })
  const server = await oauth.processDiscoveryResponse(issuer, discovered)
  return {
    client: 'oauth4webapi',
    native: await nativeJourney(provider, server),
    service: await serviceJourney(provider, server),
    private_key_jwt: await privateKeyJourney(provider, server),
  }
})

async function nativeJourney(provider, server) {
  const record = find(provider.clients, 'client_id', 'native')
  const native = relyingParty(record)
  const redirectUri = onAnotherPort(record.redirect_uris)
  const { tokens, asked } = await signIn(provider, server, native, redirectUri)
  const claims = oauth.getValidatedIdTokenClaims(tokens)
  expect(tokens.refresh_token, 'no refresh token, though offline_access was asked for')

  const userinfo = await oauth.processUserInfoResponse(
    server,
    native,
    claims.sub,
    await oauth.userInfoRequest(server, native, tokens.access_token, options),
  )
  const accessToken = await readAccessToken(server, tokens.access_token)
  const refreshed = await refresh(server, native, tokens.refresh_token)
  expect(refreshed.refresh_token, 'the refresh gave no new refresh token')
  expect(refreshed.refresh_token !== tokens.refresh_token, 'the refresh token was not rotated')

  const revoked = await oauth.revocationRequest(server, native, oauth.None(), refreshed.refresh_token, options)
  await oauth.processRevocationResponse(revoked)
  const error = await refresh(server, native, refreshed.refresh_token).then(
    () => undefined,
    (reason) => reason.error ?? String(reason),
  )
  expect(error === 'invalid_grant', `a revoked refresh token was answered with ${error}`)

  return {
    redirect_uri: redirectUri,
    asked,
    claims,
    userinfo,
    access_token: accessToken,
    refresh: { rotated: true },
    revocation: { refresh_error: error },
  }
}

async function signIn(provider, server, native, redirectUri) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const authorization = new URL(server.authorization_endpoint)
  for (const [name, value] of Object.entries({
    client_id: native.client_id,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: SCOPE,
    state,
    nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })) {
    authorization.searchParams.set(name, value)
  }
  const { url, asked } = await new Browserless(provider, 'ana').signIn(authorization, redirectUri)
  expect(url.searchParams.get('iss') === server.issuer, `the answer names the issuer ${url.searchParams.get('iss')}`)
  const answer = oauth.validateAuthResponse(server, native, url, state)
  const response = await oauth.authorizationCodeGrantRequest(
    server,
    native,
    oauth.None(),
    answer,
    redirectUri,
    verifier,
    options,
  )
  const tokens = await oauth.processAuthorizationCodeResponse(server, native, response, {
    expectedNonce: nonce,
    requireIdToken: true,
  })
  await oauth.validateApplicationLevelSignature(server, response, options)
  return { tokens, asked }
}

async function refresh(server, native, refreshToken) {
  const response = await oauth.refreshTokenGrantRequest(server, native, oauth.None(), refreshToken, options)
  return oauth.processRefreshTokenResponse(server, native, response)
}

async function serviceJourney(provider, server) {
  const record = find(provider.clients, 'client_id', 'service')
  const authentication =
    record.token_endpoint_auth_method === 'client_secret_post'
      ? oauth.ClientSecretPost(record.client_secret)
      : oauth.ClientSecretBasic(record.client_secret)
  return clientCredentials(server, record, authentication)
}

async function privateKeyJourney(provider, server) {
  const record = provider.clients.find((one) => one.token_endpoint_auth_method === 'private_key_jwt')
  if (!record) return { skipped: 'the provider lists no client with private_key_jwt' }
  const jwk = record.private_jwk
  if (!jwk) return { skipped: `the provider lists no private_jwk for ${record.client_id}` }
  const key = await crypto.subtle.importKey('jwk', jwk, keyAlgorithm(jwk), false, ['sign'])
  return clientCredentials(server, record, oauth.PrivateKeyJwt({ key, kid: jwk.kid }))
}

async function clientCredentials(server, record, authentication) {
  const client = relyingParty(record)
  const parameters = new URLSearchParams()
  if (record.scope) parameters.set('scope', record.scope)
  if (record.resources?.length) parameters.set('resource', record.resources[0])
  const response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, options)
  const tokens = await oauth.processClientCredentialsResponse(server, client, response)
  expect(tokens.refresh_token === undefined, 'client_credentials gave a refresh token')
  return { scope: tokens.scope, access_token: await readAccessToken(server, tokens.access_token) }
}

/** Check an access token as a resource server does (RFC 9068), for the audience that it names. */
async function readAccessToken(server, token) {
  expect(token.split('.').length === 3, 'the access token is not a JWT')
  const { aud } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))
  const audience = Array.isArray(aud) ? aud[0] : aud
  expect(audience, 'the access token names no audience')
  const request = new Request(server.issuer, { headers: { authorization: `Bearer ${token}` } })
  return oauth.validateJwtAccessToken(server, request, audience, { ...options, [oauth.clockSkew]: advance })
}

function relyingParty({ client_id }) {
  return { client_id, [oauth.clockSkew]: advance }
}

/** RFC 8252 section 7.3: the port of a loopback redirect URI is the native client's to choose. */
function onAnotherPort(redirectUris) {
  const loopback = redirectUris.find((uri) => /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)[:/]/.test(uri))
  expect(loopback, 'the client native has no loopback redirect URI')
  const url = new URL(loopback)
  url.port = OTHER_PORT
  return url.href
}

function keyAlgorithm({ kty, crv }) {
  if (kty === 'EC') return { name: 'ECDSA', namedCurve: crv }
  if (kty === 'OKP') return { name: 'Ed25519' }
  return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
}
