import { useQuery } from '@tanstack/react-query';
import { type Confirmation, type ConfirmationProps, useConfirmationFields } from '../design/index.ts';
import { secondFactorQuery } from './api.ts';

export type { Shown } from '../design/index.ts';

/** The fields of an act of this tenant's user for which a session is not enough. */
export function useConfirmation(props: Omit<ConfirmationProps, 'hasFactor' | 'asksPassword'>): Confirmation {
  const hasFactor = Boolean(useQuery(secondFactorQuery).data?.enrolledAt);
  return useConfirmationFields({ ...props, hasFactor });
}
