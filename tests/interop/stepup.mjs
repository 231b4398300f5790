// Step-up: signed in with a password, and asked for the code alone when aal2 is needed.
import * as client from 'openid-client'

import { Browserless, advance, expect, find, report } from './browserless.mjs'

await report(async (provider) => {
  const web = find(provider.clients, 'client_id', 'web')
  const execute = provider.issuer.startsWith('http:') ? [client.allowInsecureRequests] : []
  const config = await client.discovery(
    new URL(provider.issuer),
    web.client_id,
    { [client.clockSkew]: advance },
    client.ClientSecretBasic(web.client_secret),
    { execute },
  )
  const browser = new Browserless(provider, 'amy')
  const first = await authorize(config, browser, web.redirect_uris[0])
  const second = await authorize(config, browser, web.redirect_uris[0], { acr_values: 'aal2' })

  expect(second.claims.sub === first.claims.sub, 'the step-up changed the sub')
  expect(first.claims.acr === 'aal1', `the first sign-in reached ${first.claims.acr}, not aal1`)
  expect(second.claims.acr === 'aal2', `the step-up reached ${second.claims.acr}, not aal2`)
  expect(
    second.asked.length === 1 && second.asked[0].join() === 'code',
    `the step-up asked for ${JSON.stringify(second.asked)}, not for the code alone`,
  )
  return {
    asked: [...first.asked, ...second.asked],
    acr: [first.claims.acr, second.claims.acr],
    amr: [first.claims.amr, second.claims.amr],
  }
})

async function authorize(config, browser, redirectUri, more = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expectedState = client.randomState()
  const expectedNonce = client.randomNonce()
  const authorization = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid',
    state: expectedState,
    nonce: expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...more,
  })
  const { url, asked } = await browser.signIn(authorization, redirectUri)
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, url, checks)
  return { claims: tokens.claims(), asked }
}
