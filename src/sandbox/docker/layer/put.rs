//! Files put into a container before it starts.

use super::take::download;
use crate::sandbox::docker::engine::{Engine, failed};
use crate::sandbox::{IN_WORKDIR, SCRATCH_DIR, SandboxError, Spec};
use bollard::query_parameters::UploadToContainerOptionsBuilder;
use std::io::Read as _;
use tar::{Builder, EntryType, Header};

/// Most bytes of a list of users.
const MOST_USERS: u64 = 1 << 20;

/// User and group by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Owner {
    user: u64,
    group: u64,
}

/// Puts everything that a spec places into its container. Folders that must be writable are
/// made anew, whatever the image or an earlier run had there; the others are added to.
pub(in crate::sandbox::docker) async fn put(
    engine: &Engine,
    id: &str,
    spec: &Spec,
    workdir: &str,
    user: &str,
) -> Result<(), SandboxError> {
    let owner = owner(engine, id, user).await?;
    let tar = pack(spec, workdir, owner).map_err(|source| SandboxError::Failed {
        what: format!("could not pack the files of `{}`", spec.job),
        source: source.into(),
    })?;
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    engine
        .docker
        .upload_to_container(id, Some(options), bollard::body_full(tar.into()))
        .await
        .map_err(failed(format!(
            "could not put the files of `{}` into its container",
            spec.job
        )))
}

fn pack(spec: &Spec, workdir: &str, owner: Owner) -> std::io::Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    let mut fresh: Vec<&str> = spec.writable.iter().map(String::as_str).collect();
    fresh.push(SCRATCH_DIR);
    fresh.sort_unstable();
    fresh.dedup();
    for folder in fresh {
        let name = folder.trim_matches('/');
        // A file in the way of a folder takes all of it away, then the folder takes the file.
        tar.append_data(
            &mut header(EntryType::Regular, 0, 0o600, owner),
            name,
            &[][..],
        )?;
        tar.append_data(
            &mut header(EntryType::Directory, 0, 0o755, owner),
            name,
            &[][..],
        )?;
    }
    for placed in &spec.placed {
        let folder = match placed.at.as_str() {
            IN_WORKDIR => workdir,
            folder => folder,
        };
        let folder = folder.trim_matches('/');
        for (path, file) in placed.files.iter() {
            let mode = if file.executable { 0o755 } else { 0o644 };
            let size = file.bytes.len() as u64;
            let name = match folder {
                "" => path.as_str().to_owned(),
                folder => format!("{folder}/{path}"),
            };
            let mut header = header(EntryType::Regular, size, mode, owner);
            tar.append_data(&mut header, name, &*file.bytes)?;
        }
    }
    tar.into_inner()
}

fn header(kind: EntryType, size: u64, mode: u32, owner: Owner) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(owner.user);
    header.set_gid(owner.group);
    header.set_mtime(0);
    header
}

/// Returns the numbers of a user as an image writes it: a name or number, and perhaps a group.
async fn owner(engine: &Engine, id: &str, user: &str) -> Result<Owner, SandboxError> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let group = group.and_then(|group| group.parse().ok());
    if let Ok(user) = name.parse() {
        let group = group.unwrap_or(if user == 0 { 0 } else { user });
        return Ok(Owner { user, group });
    }
    let found = if name == "root" {
        Some(Owner::default())
    } else {
        let archive = download(engine, id, "/etc/passwd", MOST_USERS).await?;
        archive.and_then(|archive| find(&text(&archive.bytes), name))
    };
    let Some(found) = found else {
        return Err(SandboxError::Failed {
            what: format!("could not run as `{user}`"),
            source: anyhow::anyhow!("the image has no user of that name"),
        });
    };
    Ok(Owner {
        group: group.unwrap_or(found.group),
        ..found
    })
}

fn text(archive: &[u8]) -> String {
    let mut text = String::new();
    let mut archive = tar::Archive::new(archive);
    let entry = archive.entries().ok().and_then(|mut all| all.next());
    if let Some(Ok(entry)) = entry {
        // What is no text names nobody.
        if entry.take(MOST_USERS).read_to_string(&mut text).is_err() {
            text.clear();
        }
    }
    text
}

fn find(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let user = fields.nth(1)?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Owner { user, group })
    })
}

#[cfg(test)]
mod tests {
    use super::{Owner, find};

    #[test]
    fn finds_users_by_name() {
        let users =
            "root:x:0:0:root:/root:/bin/bash\nsolver:x:1001:50::/home/solver:/bin/sh\nbad\n";
        let solver = Owner {
            user: 1001,
            group: 50,
        };
        assert_eq!(find(users, "solver"), Some(solver));
        assert_eq!(find(users, "solve"), None);
        assert_eq!(find(users, "bad"), None);
    }
}
