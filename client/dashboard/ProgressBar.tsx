export interface ProgressBarProps {
  label: string;
  /** 0 to 100; undefined when nobody knows. */
  value: number | undefined;
}

export function ProgressBar({ label, value }: ProgressBarProps) {
  const known = value !== undefined && { 'aria-valuenow': Math.round(value) };
  return (
    <div role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} {...known} className="bar">
      <div className="bar-fill" style={{ width: `${value ?? 0}%` }} />
    </div>
  );
}
