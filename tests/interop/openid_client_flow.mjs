// The main journey with openid-client: sign-in, userinfo, introspection, refresh, revocation, logout.
import * as client from 'openid-client'

import { Browserless, advance, expect, find, report } from './browserless.mjs'

const SCOPE = 'openid profile email offline_access'

await report(async (provider) => {
  const web = find(provider.clients, 'client_id', 'web')
  const config = await discover(provider, web)
  const browser = new Browserless(provider, 'ana')

  const { tokens, asked } = await signIn(config, browser, web.redirect_uris[0])
  const claims = tokens.claims()
  expect(tokens.refresh_token, 'no refresh token, though offline_access was asked for')
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)

  const introspected = await client.tokenIntrospection(config, tokens.access_token)
  expect(introspected.active === true, 'a fresh access token is introspected as inactive')

  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
  expect(refreshed.refresh_token, 'the refresh gave no new refresh token')
  expect(refreshed.refresh_token !== tokens.refresh_token, 'the refresh token was not rotated')
  expect(refreshed.access_token !== tokens.access_token, 'the refresh gave the same access token')
  if (refreshed.claims()) expect(refreshed.claims().sub === claims.sub, 'the refresh changed the sub')

  const revoked = await revoke(config, refreshed)
  const loggedOut = await signOut(config, browser, web, tokens.id_token)

  return {
    client: 'openid-client',
    asked,
    claims,
    userinfo,
    introspection: introspected,
    refresh: { rotated: true, id_token: refreshed.id_token !== undefined },
    revocation: revoked,
    logout: loggedOut,
  }
})

function discover(provider, { client_id: id, client_secret: secret }) {
  const execute = [client.enableNonRepudiationChecks]
  if (provider.issuer.startsWith('http:')) execute.unshift(client.allowInsecureRequests)
  const metadata = { [client.clockSkew]: advance }
  return client.discovery(new URL(provider.issuer), id, metadata, client.ClientSecretBasic(secret), { execute })
}

async function signIn(config, browser, redirectUri) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const authorization = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: SCOPE,
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const { url, asked } = await browser.signIn(authorization, redirectUri)
  const { issuer } = config.serverMetadata()
  expect(url.searchParams.get('iss') === issuer, `the answer names the issuer ${url.searchParams.get('iss')}`)
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
  return { tokens: await client.authorizationCodeGrant(config, url, checks), asked }
}

async function revoke(config, { access_token: accessToken, refresh_token: refreshToken }) {
  await client.tokenRevocation(config, accessToken, { token_type_hint: 'access_token' })
  const access = await client.tokenIntrospection(config, accessToken)
  expect(access.active === false, 'a revoked access token is still active')

  await client.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' })
  const refresh = await client.tokenIntrospection(config, refreshToken)
  expect(refresh.active === false, 'a revoked refresh token is still active')

  const error = await client.refreshTokenGrant(config, refreshToken).then(
    () => undefined,
    (reason) => reason.error ?? String(reason),
  )
  expect(error === 'invalid_grant', `a revoked refresh token was answered with ${error}`)
  return { access_active: access.active, refresh_active: refresh.active, refresh_error: error }
}

async function signOut(config, browser, web, idToken) {
  const redirectUri = web.redirect_uris[0]
  const returnUri = web.post_logout_redirect_uris?.[0] ?? new URL(redirectUri).origin
  const state = client.randomState()
  const endSession = client.buildEndSessionUrl(config, {
    id_token_hint: idToken,
    post_logout_redirect_uri: returnUri,
    state,
  })
  const { url } = await browser.signOut(endSession, returnUri)
  expect(url.searchParams.get('state') === state, 'logout did not return the state')

  const silent = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid',
    prompt: 'none',
    state,
    code_challenge: await client.calculatePKCECodeChallenge(client.randomPKCECodeVerifier()),
    code_challenge_method: 'S256',
  })
  const after = await browser.signIn(silent, redirectUri)
  const error = after.url.searchParams.get('error')
  expect(error === 'login_required', `after logout, prompt=none was answered with ${error}`)
  return { returned_to: url.origin + url.pathname, prompt_none: error }
}
