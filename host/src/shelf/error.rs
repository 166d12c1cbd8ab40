//! Why something about an installed flow couldn't be changed. Each says what to do.

use std::io;

use crate::flows::plugin::LoadError;
use crate::name::{Name, NameError};
use crate::package::{KeyError, PackageError};
use crate::store::StoreError;

/// Why something about a flow couldn't be changed.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The component is no good.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The package is no good.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The package's manifest and its component disagree.
    #[error("the package says that it holds {said}, and its component is {is}; get it again from its publisher")]
    Mislabelled {
        /// What the manifest says.
        said: String,
        /// What the component says.
        is: String,
    },
    /// The component's own name can't be one here.
    #[error("the component's name is none that a flow can have here: {0}")]
    Name(#[from] NameError),
    /// A component that nobody signed.
    #[error(
        "this component isn't signed, so that nobody knows whom it is from. Install its publisher's package (*.flow), or, if you \
         know where it is from, allow it with --allow-unsigned (allow_unsigned=true)"
    )]
    Unsigned,
    /// Nobody trusts who signed it.
    #[error(
        "the package is signed with the key {0}, which isn't trusted. Ask its publisher for the public key, by another way than you \
         got the package, and then: tokenhost flow trust KEY --name NAME"
    )]
    Untrusted(String),
    /// There is one already.
    #[error("flow {0} is there already; to replace it: tokenhost flow upgrade FILE")]
    Installed(Name),
    /// There is none to replace.
    #[error("there is no flow {0} to upgrade; to install it: tokenhost flow install FILE")]
    NothingToUpgrade(Name),
    /// It is another flow.
    #[error("the component is flow {found}, and not {wanted}")]
    OtherFlow {
        /// Which was to be upgraded.
        wanted: Name,
        /// Which it is.
        found: Name,
    },
    /// It comes from someone else.
    #[error(
        "flow {flow} is from {from} and this component from {to}: that needs --allow-publisher-change (allow_publisher_change=true)"
    )]
    OtherPublisher {
        /// Which.
        flow: Name,
        /// Who the present one is from.
        from: String,
        /// Who the new one is from.
        to: String,
    },
    /// There is no flow of this name.
    #[error("there is no flow {0}")]
    NotFound(Name),
    /// Nothing of this name was installed.
    #[error("flow {0} wasn't installed here; flows that ship are changed with the daemon")]
    NotInstalled(Name),
    /// There is nothing to go back to.
    #[error(
        "flow {0} has no such earlier component to go back to; `tokenhost flow show {0}` lists those that are kept, and `flow rollback {0} --to SHA256` takes any of them"
    )]
    NoForerunner(Name),
    /// The file of a component isn't what was installed.
    #[error(
        "{0}; it isn't loaded. Install the component again (tokenhost flow upgrade FILE), or go back to another one (tokenhost flow rollback NAME --to SHA256)"
    )]
    Changed(String),
    /// It isn't under quarantine.
    #[error("flow {0} isn't under quarantine")]
    NotQuarantined(Name),
    /// No such grant.
    #[error("flow {flow} may not read {secret} of {integration}; there is nothing to withdraw")]
    NotRevealed {
        /// Which flow.
        flow: Name,
        /// Which secret.
        secret: String,
        /// Of which integration.
        integration: Name,
    },
    /// The flow isn't served, so that there is no component to speak of.
    #[error("flow {0} isn't served now: {1}")]
    NotServed(Name, String),
    /// The key is none.
    #[error("key: {0}")]
    Key(#[from] KeyError),
    /// The publisher's name is taken, or its key is known under another.
    #[error("publisher {0} is trusted already; to give it another key: tokenhost flow distrust {0}")]
    PublisherExists(Name),
    /// No such publisher.
    #[error("there is no publisher {0}; `tokenhost flow publishers` lists them")]
    NoPublisher(Name),
    /// The folder can't be read or written.
    #[error("the folder of installed flows can't be changed: {0}")]
    Disk(#[from] io::Error),
    /// The storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
