import { ButtonLink, EmptyState, ErrorState, PageTitle } from '../../../../web/design/index.ts';

export function PageError({ error, reset }: { error: unknown; reset: () => void }) {
  return <ErrorState error={error} onRetry={reset} action={<ButtonLink to="/">Go to Home</ButtonLink>} />;
}

export function NotFound() {
  return (
    <>
      <PageTitle title="Nothing at this address" />
      <EmptyState title="There is no page here" action={<ButtonLink to="/">Go to Home</ButtonLink>}>
        The link may be old or not complete. Items have addresses like /i/ABC-12, boards like /p/ABC/board.
      </EmptyState>
    </>
  );
}
