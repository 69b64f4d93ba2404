/** The mark: a plot of land inside its boundary, with one corner post set. */
export function Mark({ size = 20, title }: { size?: number; title?: string }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      role={title ? 'img' : undefined}
      aria-label={title}
      aria-hidden={title ? undefined : true}
    >
      <path d="M3.5 6.5 14 3.5 20.5 9 18 20.5 6 18.5Z" stroke="var(--fh-ok)" strokeWidth="2" strokeLinejoin="round" />
      <path d="M8 9.2 13 7.8 16.4 10.7 15.2 16.2 9.2 15.2Z" fill="var(--fh-ok)" />
    </svg>
  );
}
