//! A server whose certificate is not accepted: what is wrong with it, and what to do.
//!
//! The roots are the system's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are
//! set. Another try shows the same certificate, so there is none.

use crate::model::ModelError;
use rustls::CertificateError;
use std::error::Error;
use std::io;

/// How a further authority is named, behind a proxy that ends TLS and for a server of one's own.
const NAME_IT: &str = "put the certificates that you trust into a file (PEM) and name it in \
                       `SSL_CERT_FILE`, which takes the place of the system's";

/// Returns what a failed connection becomes that failed for the server's certificate.
pub(super) fn distrusted(server: &str, error: &(dyn Error + 'static)) -> Option<ModelError> {
    let rustls::Error::InvalidCertificate(error) = tls(error)? else {
        return None;
    };
    let wrong = match error {
        CertificateError::UnknownIssuer => "no authority that is trusted here has signed it",
        other => &other.to_string(),
    };
    let what = format!("the certificate of `{server}` is not accepted: {wrong}");
    let advice = advice(error);
    Some(ModelError::Unusable {
        what: format!("{what}; {advice}"),
    })
}

/// Returns the reason of a client that has no roots at all.
pub(super) fn without_roots(causes: &str) -> String {
    format!("{causes}; install the system's certificates (`ca-certificates`), or {NAME_IT}")
}

fn advice(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "check this machine's clock, or have the server's certificate renewed".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "check `base_url`: it must name the server as its certificate does".to_owned()
        }
        _ => format!("if the server is what you think it is, {NAME_IT}"),
    }
}

/// Returns the error of the encryption among the causes of another one.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // What such an error holds is not among its causes.
        let held = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        cause = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::distrusted;
    use crate::model::ModelError;
    use rustls::CertificateError as Bad;
    use std::io;

    #[test]
    fn says_what_to_do_about_a_certificate() {
        let said = [Bad::UnknownIssuer, Bad::Expired, Bad::NotValidForName].map(|bad| {
            let inner = io::Error::other(rustls::Error::InvalidCertificate(bad));
            match distrusted("https://a", &io::Error::other(inner)) {
                Some(ModelError::Unusable { what }) => what,
                other => panic!("{other:?}"),
            }
        });
        insta::assert_snapshot!(said.join("\n"), @r"
        the certificate of `https://a` is not accepted: no authority that is trusted here has signed it; if the server is what you think it is, put the certificates that you trust into a file (PEM) and name it in `SSL_CERT_FILE`, which takes the place of the system's
        the certificate of `https://a` is not accepted: Expired; check this machine's clock, or have the server's certificate renewed
        the certificate of `https://a` is not accepted: NotValidForName; check `base_url`: it must name the server as its certificate does
        ");
        // Whatever else goes wrong may go better the next time.
        for other in [
            io::Error::other(rustls::Error::DecryptError),
            io::Error::other("broken"),
            io::Error::from(io::ErrorKind::ConnectionReset),
        ] {
            assert_eq!(distrusted("https://a", &other), None);
        }
    }
}
