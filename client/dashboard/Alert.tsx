export interface AlertProps {
  message: string;
  onDismiss: () => void;
}

export function Alert({ message, onDismiss }: AlertProps) {
  return (
    <div className="alert" role="alert" data-testid="alert">
      <p>{message}</p>
      <button type="button" className="quiet" aria-label="Dismiss" onClick={onDismiss}>
        ×
      </button>
    </div>
  );
}
