import { useMutation, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { apiFetch, type BegunApp, SetUpApp as CommonSetUpApp } from '../design/index.ts';
import { type SessionUser, secondFactorQuery, useTenantTitle } from './api.ts';
import { StepUpForm } from './StepUpForm.tsx';
import type { Shown } from './useConfirmation.tsx';

const url = '/-/api/second-factor/totp';

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
      url={url}
      title={title}
      email={user.email}
      asksPassword
      begin={(onBegun) => <Begin user={user} onBegun={onBegun} cancel={cancel} />}
      onDone={() => void finish()}
      cancel={cancel}
    />
  );
}

function Begin({
  user,
  onBegun,
  cancel,
}: {
  user: SessionUser;
  onBegun: (begun: BegunApp) => void;
  cancel?: ReactNode;
}) {
  const act = useMutation({
    mutationFn: (body: Shown) => apiFetch<BegunApp>(url, { method: 'POST', body }),
    onSuccess: onBegun,
  });
  return <StepUpForm user={user} what="To be sure that it is you:" label="Continue" act={act} cancel={cancel} />;
}
