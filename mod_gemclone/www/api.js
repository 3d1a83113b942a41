// SPDX-License-Identifier: Apache-2.0
// The API as the signed-in user.
import {Problem, backoff, fetchAnswer, pause, readJSON} from './http.js';
import {SignedOut, accessToken, isSignedIn, renew} from './session.js';

const TRIES = 5;

// The answer; where the access token is none any more, with another one, once.
export async function call(method, path, options = {}) {
  if (!isSignedIn()) throw new SignedOut();
  if (!accessToken()) await renew();
  const token = accessToken();
  try {
    return await fetchAnswer(method, path, {...options, token});
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    if (token === accessToken()) await renew();
    return fetchAnswer(method, path, {...options, token: accessToken()});
  }
}

// Its JSON. What changes nothing, or has a key, is tried again when the connection is lost.
export async function ask(method, path, options = {}) {
  const again = method === 'GET' || options.key !== undefined;
  for (let failures = 1; ; failures++) {
    try {
      return await readJSON(await call(method, path, options));
    } catch (problem) {
      if (!(problem instanceof Problem && problem.status === 0 && again) || failures === TRIES) throw problem;
      await pause(backoff(failures, 500), options.signal);
    }
  }
}
