import { useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { SetUpApp as CommonSetUpApp } from '../design/index.ts';
import { type SessionUser, secondFactorQuery, useTenantTitle } from './api.ts';

/** The app of a user of this tenant. */
export function SetUpApp({
  user,
  onDone,
  cancel,
}: {
  user: SessionUser;
  onDone: () => void;
  /** The way out, before it counts. */
  cancel?: ReactNode;
}) {
  const title = useTenantTitle();
  const queryClient = useQueryClient();
  const finish = async () => {
    await queryClient.invalidateQueries({ queryKey: secondFactorQuery.queryKey });
    onDone();
  };
  return (
    <CommonSetUpApp
      url="/-/api/second-factor/totp"
      title={title}
      email={user.email}
      asksPassword
      onDone={() => void finish()}
      cancel={cancel}
    />
  );
}
