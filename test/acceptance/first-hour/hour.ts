/** What the chapters of the first hour share: the installation, the browser and who sits before it. */
import type { Browser, Locator, Page } from 'playwright-core';
import type { Freehold } from '../harness.ts';
import type { Step } from '../story.ts';
import { type Person, Visitor } from '../visitor.ts';

export const olive: Person = {
  name: 'Olive Staff',
  email: 'olive@operator.example',
  password: 'copper lantern under the ninth bridge',
};
export const ada: Person = {
  name: 'Ada Northrop',
  email: 'ada@northwind.example',
  password: 'seven herons fishing before daylight',
};
export const ben: Person = {
  name: 'Ben Okafor',
  email: 'ben@northwind.example',
  password: 'marble staircase, wet umbrella, tuba',
};

export class Hour {
  freehold!: Freehold;
  browser!: Browser;
  staff!: Visitor;
  owner!: Visitor;
  member!: Visitor;
  invitationUrl = '';
  readonly visitors: Visitor[] = [];
  /** Folder for what is downloaded. */
  readonly downloads: string;
  step!: Step;

  constructor(downloads: string) {
    this.downloads = downloads;
  }

  async open(name: string, options: Parameters<typeof Visitor.open>[2] = {}): Promise<Visitor> {
    const visitor = await Visitor.open(this.browser, name, options);
    this.visitors.push(visitor);
    return visitor;
  }

  async leave(visitor: Visitor): Promise<void> {
    this.visitors.splice(this.visitors.indexOf(visitor), 1);
    await visitor.close();
  }

  /** An address of the tenant that the hour is about. */
  at(path: string, name = 'northwind'): string {
    return `https://${name}.localhost:${this.freehold.port}${path}`;
  }
}

export function column(page: Page, state: string): Locator {
  return page.locator(`[data-column=${state}]`);
}

export function cardOf(where: Locator, title: string): Locator {
  return where.locator('[data-card]', { hasText: title });
}

/** As a hand does it: press, set off, go there in steps, rest, let go. */
export async function drag(page: Page, card: Locator, target: Locator): Promise<void> {
  const from = (await card.boundingBox())!;
  const to = (await target.boundingBox())!;
  await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2);
  await page.mouse.down();
  await page.mouse.move(from.x + from.width / 2 + 12, from.y + from.height / 2 + 4, { steps: 3 });
  await page.mouse.move(to.x + to.width / 2, to.y + to.height / 2, { steps: 12 });
  await page.mouse.up();
}

export async function choose(dialog: Locator, page: Page, field: RegExp, option: string): Promise<void> {
  await dialog.getByRole('button', { name: field }).click();
  await page.getByRole('option', { name: option }).click();
}

/** An action of the tenant's page in the console. */
export async function act(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Actions' }).click();
  await page.getByRole('menuitem', { name }).click();
}
