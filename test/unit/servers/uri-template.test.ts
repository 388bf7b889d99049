import { compileUriTemplate } from '../../../src/servers/uri-template.js';

const matches = (template: string, uri: string) => compileUriTemplate(template)?.matches(uri);

describe('compileUriTemplate', () => {
  it.each([
    ['test://template/{id}/data', 'test://template/123/data', true],
    ['test://template/{id}/data', 'test://template//data', false],
    ['test://template/{id}/data', 'test://template/1/2/data', false],
    ['test://template/{id}/data', 'test://template/123/data/more', false],
    ['file:///{+path}', 'file:///a/b/c.txt', true],
    ['file:///{+path}', 'file:///', false],
    ['x://{a}-{b}', 'x://1-2', true],
    ['x://{a}-{b}', 'x://1', false],
    ['x://{a,b}', 'x://1,2', true],
    ['x://s{?q,lang}', 'x://s', true],
    ['x://s{?q,lang}', 'x://s?q=a&lang=en', true],
    ['x://s{?q}', 'x://sq=a', false],
    ['x://s?fixed=1{&q}', 'x://s?fixed=1&q=2', true],
    ['x://h{/a,b}', 'x://h/1/2', true],
    ['x://h{.ext}', 'x://h.json', true],
    ['x://h{;p}', 'x://h;p=1', true],
    ['x://h{#frag}', 'x://h#top', true],
    ['x://h{#frag}', 'x://htop', false],
    ['x://{path*}', 'x://a', true],
    ['plain://uri', 'plain://uri', true],
    ['plain://uri', 'plain://ur', false],
    ['a.c://{x}', 'abc://1', false],
  ])('%s on %s: %s', (template, uri, expected) => {
    expect(matches(template, uri)).toBe(expected);
  });

  it.each(['x://{', 'x://{}', 'x://}', 'x://{a b}', 'x://{a{b}}', 'x'.repeat(3000), '{a}'.repeat(65)])(
    'does not compile %s',
    (template) => {
      expect(compileUriTemplate(template)).toBeUndefined();
    },
  );

  it('takes bounded time on what makes a regular expression explode', () => {
    expect(matches(`x://${'{a}'.repeat(60)}!`, `x://${'a'.repeat(8000)}`)).toBe(false);
    expect(matches('x://{a}', `x://${'a'.repeat(9000)}`)).toBe(false);
  });
});
