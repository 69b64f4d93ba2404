import type { AppContext } from '../../sdk/index.ts';

export async function fillDemo(_context: AppContext, _variant: number): Promise<void> {}
