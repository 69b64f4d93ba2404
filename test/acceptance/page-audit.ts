/** What is wrong with a page for somebody who cannot see it well, has no mouse, or holds it in one hand. Runs inside the page. */
import type { Page } from 'playwright-core';
import { until } from './harness.ts';

export type Scheme = 'light' | 'dark';

export interface Audit {
  readonly title: string;
  readonly headings: number;
  /** Pixels by which the page is wider than the window. */
  readonly overflow: number;
  /** Of the page's ground, 0 black … 1 white. */
  readonly brightness: number;
  readonly faults: readonly string[];
}

/** Waits until the page has followed the system to other colours and nothing moves any more; what is looked at is looked at once. */
export async function rest(page: Page, scheme: Scheme): Promise<void> {
  // Whoever does not follow is found wanting by the audit.
  await until(
    'the page to follow',
    () => page.evaluate((wanted) => document.documentElement.dataset.mantineColorScheme === wanted, scheme),
    5_000,
  ).catch(() => {});
  await page.evaluate(async () => {
    const frame = () => new Promise(requestAnimationFrame);
    const moving = () =>
      document
        .getAnimations()
        .filter(({ effect, playState }) => playState === 'running' && effect?.getComputedTiming().endTime !== Infinity);
    // One transition begins others: of whoever inherits the colour.
    do {
      await Promise.allSettled(moving().map(({ finished }) => finished));
      await frame();
      await frame();
    } while (moving().length > 0);
  });
}

export const isIn = (scheme: Scheme, brightness: number): boolean =>
  scheme === 'dark' ? brightness <= 0.2 : brightness >= 0.7;

export function audit(page: Page): Promise<Audit> {
  return page.evaluate(() => {
    const faults: string[] = [];
    const describe = (element: Element) =>
      `<${element.tagName.toLowerCase()}> ${(element.textContent ?? '').trim().replace(/\s+/g, ' ').slice(0, 40)}`;
    const isShown = (element: Element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });

    if (!document.documentElement.lang) faults.push('the page names no language');
    if (document.querySelectorAll('main').length !== 1) faults.push('there is not exactly one main part');
    for (const image of document.querySelectorAll('img:not([alt])'))
      faults.push(`no alternative text: ${describe(image)}`);
    const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
    for (const id of new Set(ids.filter((each, index) => ids.indexOf(each) !== index)))
      faults.push(`id is there twice: ${id}`);
    for (const element of document.querySelectorAll<HTMLElement>(
      'a[href], button, [role=button], input, select, textarea',
    )) {
      if (!isShown(element) || element.closest('[aria-hidden=true], [inert]')) continue;
      const labels = 'labels' in element ? [...((element as HTMLInputElement).labels ?? [])] : [];
      const name = [
        element.getAttribute('aria-label'),
        element.title,
        element.textContent,
        ...labels.map((label) => label.textContent),
        ...(element.getAttribute('aria-labelledby') ?? '')
          .split(' ')
          .map((id) => document.getElementById(id)?.textContent),
      ].some((text) => text?.trim());
      if (!name && (element as HTMLInputElement).type !== 'hidden')
        faults.push(`no name: ${element.outerHTML.slice(0, 120)}`);
    }

    // WCAG 2.2, 1.4.3: contrast of text. Colours are read back from a canvas, whatever notation they were written in.
    const pen = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
    const toRgba = (color: string): [number, number, number, number] => {
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = color;
      pen.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
      return [red!, green!, blue!, alpha! / 255];
    };
    const luminance = ([red, green, blue]: readonly number[]) => {
      const [r, g, b] = [red!, green!, blue!].map((value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const groundOf = (element: Element): [number, number, number] => {
      const layers: [number, number, number, number][] = [];
      for (let at: Element | null = element; at; at = at.parentElement) {
        const color = toRgba(getComputedStyle(at).backgroundColor);
        if (color[3] > 0) layers.push(color);
        if (color[3] === 1) break;
      }
      return layers
        .reverse()
        .reduce<[number, number, number]>(
          (ground, [red, green, blue, alpha]) => [
            red * alpha + ground[0] * (1 - alpha),
            green * alpha + ground[1] * (1 - alpha),
            blue * alpha + ground[2] * (1 - alpha),
          ],
          [255, 255, 255],
        );
    };
    for (const element of document.querySelectorAll<HTMLElement>('body *')) {
      const says = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim());
      if (!says || !isShown(element) || element.closest(':disabled, [data-disabled], [aria-hidden=true], svg, option'))
        continue;
      const style = getComputedStyle(element);
      const sizePx = Number.parseFloat(style.fontSize);
      const needed = sizePx >= 24 || (sizePx >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
      const [a, b] = [luminance(toRgba(style.color)), luminance(groundOf(element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < needed - 0.05) faults.push(`contrast ${ratio.toFixed(2)}, ${needed} needed: ${describe(element)}`);
    }

    const { scrollWidth, clientWidth } = document.documentElement;
    return {
      title: document.title,
      headings: [...document.querySelectorAll('h1')].filter(isShown).length,
      overflow: scrollWidth - clientWidth,
      brightness: luminance(groundOf(document.body)),
      faults: [...new Set(faults)],
    };
  });
}
