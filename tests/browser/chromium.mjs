// Where the browser is: Debian's Chromium, or what CHROMIUM names. `playwright-core` brings none of its own.

import { execFileSync } from 'node:child_process';

const find = (name) => execFileSync('sh', ['-c', `command -v ${name} || true`], { encoding: 'utf8' }).trim();

export const executablePath =
  process.env.CHROMIUM || find('chromium') || find('chromium-browser') || find('google-chrome');

if (!executablePath) {
  console.error('there is no chromium: run `make tools`');
  process.exit(2);
}
